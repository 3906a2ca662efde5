// The one exception of the C++ interface.
#ifndef AKIN_ERROR_H_
#define AKIN_ERROR_H_

#include <stdexcept>
#include <string>

#pragma GCC visibility push(default)
namespace akin::api {

// Numbers are those of akin_status in c_api.h.
enum class ErrorKind {
  usage = 1,
  not_found = 2,
  bad_format = 3,
  unsupported = 4,
  too_long = 5,
  overloaded = 6,
  io = 7,
  device = 8,
  interrupted = 9,
  internal = 10
};

// what() says where, what, got, expected and what to do.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace akin::api
#pragma GCC visibility pop

#endif  // AKIN_ERROR_H_
