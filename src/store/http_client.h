// One HTTP request at a time over libcurl, redirects not followed: the caller decides who gets the
// token. Internal to store/.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace akin::store {

struct HttpRequest {
  std::string url;
  bool head = false;
  std::vector<std::string> headers = {};  // "Name: value"
  double connect_timeout_s = 10;
  double stall_timeout_s = 10;  // without a byte
  // Called with the status before the first byte of the body; false drops the body.
  std::function<bool(long status, const std::map<std::string, std::string>& headers)> begin = {};
  // Body bytes in order. May throw; the exception comes out of perform().
  std::function<void(std::string_view bytes)> body = {};
};

struct HttpResponse {
  long status = 0;                             // 0: no answer, see `problem`
  std::map<std::string, std::string> headers;  // lower-case names, of the last response
  std::string redirect;                        // absolute target of a 3xx, else empty
  std::string problem;                         // of the transport; empty when it went well
  bool permanent = false;                      // trying again will not help (bad address, TLS)
};

class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  // Errors: interrupted, and what `body` throws. Everything else is in the response.
  HttpResponse perform(const HttpRequest& request);

 private:
  void* curl_;  // CURL*
};

// "https://host:port" of an address, port always said; empty for other schemes or a bad address.
std::string url_origin(const std::string& url);
std::string url_escape(std::string_view text);  // every byte but unreserved ones

}  // namespace akin::store
