// A plain HTTP/1.1 client for tests: sends the bytes it is told, badly when told so. POSIX sockets,
// loopback only.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace akin::serve {

struct TestAnswer {
  int status = 0;  // 0: the connection ended without an answer
  std::string head, body;
  bool has(const std::string& text) const { return head.find(text) != std::string::npos; }
};

class TestClient {
 public:
  explicit TestClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
      throw std::runtime_error("cannot connect");
  }
  ~TestClient() { close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  void finish_sending() { ::shutdown(socket_, SHUT_WR); }

  bool send(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t sent = ::send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += static_cast<size_t>(sent);
    }
    return true;
  }
  bool post(const std::string& path, const std::string& body, const std::string& headers = "") {
    return send("POST " + path + " HTTP/1.1\r\nHost: t\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
  }
  bool get(const std::string& path, const std::string& headers = "",
           const std::string& method = "GET") {
    return send(method + " " + path + " HTTP/1.1\r\nHost: t\r\n" + headers + "\r\n");
  }

  // The next answer that is not interim.
  TestAnswer read(bool head_only = false) {
    TestAnswer answer;
    do {
      size_t end = 0;
      while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill()) return {};
      }
      answer.head = buffer_.substr(0, end + 4);
      buffer_.erase(0, end + 4);
      answer.status = std::atoi(answer.head.c_str() + 9);
    } while (answer.status < 200);
    const size_t at = answer.head.find("Content-Length: ");
    const size_t length = at == std::string::npos || head_only
                              ? 0
                              : static_cast<size_t>(std::atoll(answer.head.c_str() + at + 16));
    while (buffer_.size() < length) {
      if (!fill()) return {};
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return answer;
  }
  // True once the server has closed.
  bool closed() { return buffer_.empty() && !fill(); }

 private:
  bool fill() {
    pollfd wait{socket_, POLLIN, 0};
    if (::poll(&wait, 1, 10'000) <= 0) return false;
    char bytes[16384];
    const ssize_t got = ::recv(socket_, bytes, sizeof(bytes), 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<size_t>(got));
    return true;
  }
  int socket_;
  std::string buffer_;
};

}  // namespace akin::serve
