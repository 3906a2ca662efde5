// See hub_download.h.
#include "store/hub_download.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "core/counters.h"
#include "store/checksum.h"

namespace akin::store {
namespace fs = std::filesystem;
namespace {

constexpr int kMaxRedirects = 10;
constexpr size_t kMaxTextBytes = size_t{64} << 20;
constexpr double kMaxPauseSeconds = 60;

bool may_pass(const HttpResponse& response) {
  if (!response.problem.empty()) return !response.permanent;
  return response.status == 408 || response.status == 429 || response.status >= 500;
}

std::string header(const HttpResponse& response, const std::string& name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

int64_t number(std::string_view text, int64_t fallback) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 ? value : fallback;
}

std::string bare_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') {
    etag = etag.substr(1, etag.size() - 2);
  }
  return etag;
}

bool is_safe_etag(std::string_view etag) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !etag.empty() && etag.size() <= 128 && etag.front() != '.' &&
         std::all_of(etag.begin(), etag.end(), good);
}

// A file that grows at its end; every write is checked.
class PartialFile {
 public:
  explicit PartialFile(const fs::path& path)
      : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)) {
    if (fd_ < 0) fail("create");
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || ::lseek(fd_, 0, SEEK_END) < 0) fail("read");
    size_ = info.st_size;
  }
  ~PartialFile() { ::close(fd_); }
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  int64_t size() const { return size_; }
  void clear() {
    if (::ftruncate(fd_, 0) != 0 || ::lseek(fd_, 0, SEEK_SET) < 0) fail("empty");
    size_ = 0;
  }
  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write");
      bytes.remove_prefix(static_cast<size_t>(n));
      size_ += n;
    }
  }
  void sync() {
    if (::fsync(fd_) != 0) fail("write");
  }

 private:
  [[noreturn]] void fail(const char* action) const {
    throw_error(ErrorKind::io, path_.string(), "cannot {}: {}", action, std::strerror(errno));
  }
  const fs::path path_;
  const int fd_;
  int64_t size_ = 0;
};

}  // namespace

HubConnection::HubConnection(const HubEnv& env, const FetchOptions& options)
    : env_(env), options_(options), origin_(url_origin(env.endpoint)) {
  if (origin_.empty()) {
    throw_error(ErrorKind::usage, "HF_ENDPOINT", "{} is no address of a hub", quote(env.endpoint));
  }
}

void HubConnection::pause(int failures, const HttpResponse& response) const {
  double seconds = options_.first_pause_s * static_cast<double>(1 << std::min(failures - 1, 6));
  const int64_t asked = number(header(response, "retry-after"), -1);
  if (asked >= 0) seconds = std::max(seconds, static_cast<double>(asked));
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::duration<double>(std::min(seconds, kMaxPauseSeconds));
  while (std::chrono::steady_clock::now() < end) {
    check_interrupted();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// One request with its redirects. With leave_hub false a redirect to another place is an answer.
HttpResponse HubConnection::send_once(HttpRequest request, bool leave_hub) {
  const std::vector<std::string> headers = request.headers;
  std::map<std::string, std::string> seen;
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    const std::string origin = url_origin(request.url);
    request.headers = headers;
    if (origin == origin_ && !env_.token.empty()) {
      request.headers.push_back("Authorization: Bearer " + env_.token);
    }
    HttpResponse response = client_.perform(request);
    for (const auto& [name, value] : seen) response.headers.emplace(name, value);
    if (response.redirect.empty()) return response;
    const std::string target = url_origin(response.redirect);
    if (target.empty() || (origin.starts_with("https:") && !target.starts_with("https:"))) {
      response.problem = "it redirects to " + quote(response.redirect) + ", which is not safe";
      response.permanent = true;
      return response;
    }
    if (!leave_hub && target != origin_) return response;
    // What the hub said before it redirected stays known: commit, linked etag and size.
    for (const auto& [name, value] : response.headers) {
      if (name.starts_with("x-")) seen.insert_or_assign(name, value);
    }
    request.url = response.redirect;
  }
  HttpResponse response;
  response.problem = fmt::format("more than {} redirects", kMaxRedirects);
  response.permanent = true;
  return response;
}

HttpResponse HubConnection::send(const HttpRequest& request, bool leave_hub) {
  for (int failures = 1;; ++failures) {
    HttpResponse response = send_once(request, leave_hub);
    if (!may_pass(response) || failures >= options_.tries) return response;
    pause(failures, response);
  }
}

void HubConnection::fail(const HttpResponse& response, std::string_view what) const {
  if (!response.problem.empty()) {
    throw_error(ErrorKind::io, what,
                "cannot reach {}: {}. Try again; a mirror can be set with "
                "HF_ENDPOINT",
                env_.endpoint, response.problem);
  }
  if (response.status == 404) {
    throw_error(ErrorKind::not_found, what, "not at {} (HTTP 404); check the name and revision",
                env_.endpoint);
  }
  if (response.status == 401 || response.status == 403) {
    throw_error(ErrorKind::io, what,
                "{} refuses it (HTTP {}): the model does not exist, is private, or asks you to "
                "accept its terms first. {}",
                env_.endpoint, response.status,
                env_.token.empty() ? "Set HF_TOKEN to a token that may read it"
                                   : "The token in use may not read it");
  }
  throw_error(ErrorKind::io, what, "{} answered HTTP {}{}", env_.endpoint, response.status,
              response.status >= 500 ? " on every try; try again later" : "");
}

std::string HubConnection::get_text(const std::string& url, std::string_view what) {
  HttpRequest request{.url = url};
  request.connect_timeout_s = env_.metadata_timeout_s;
  request.stall_timeout_s = env_.metadata_timeout_s;
  std::string text;
  request.begin = [&](long status, const auto&) {
    text.clear();
    return status == 200;
  };
  request.body = [&](std::string_view bytes) {
    if (text.size() + bytes.size() > kMaxTextBytes) {
      throw_error(ErrorKind::bad_format, what, "the hub's answer is over {} bytes", kMaxTextBytes);
    }
    text += bytes;
  };
  const HttpResponse response = send(request, /*leave_hub=*/true);
  if (response.status != 200 || !response.problem.empty()) fail(response, what);
  return text;
}

HubFile HubConnection::describe(const std::string& url, const std::string& path,
                                const std::string& commit) {
  HttpRequest request{.url = url, .head = true, .headers = {"Accept-Encoding: identity"}};
  request.connect_timeout_s = env_.metadata_timeout_s;
  request.stall_timeout_s = env_.metadata_timeout_s;
  const HttpResponse response = send(request, /*leave_hub=*/false);
  const bool answered = response.status == 200 || (response.status >= 300 && response.status < 400);
  if (!answered || !response.problem.empty()) fail(response, path);
  const std::string said = header(response, "x-repo-commit");
  if (!said.empty() && said != commit) {
    throw_error(ErrorKind::bad_format, path, "the hub answers for commit {}, expected {}",
                quote(said), commit);
  }
  HubFile file;
  file.path = path;
  file.etag = bare_etag(header(response, "x-linked-etag"));
  if (file.etag.empty()) file.etag = bare_etag(header(response, "etag"));
  if (!is_safe_etag(file.etag)) {
    throw_error(ErrorKind::bad_format, path, "the hub gives etag {}, expected a checksum",
                quote(file.etag));
  }
  file.size = number(header(response, "x-linked-size"), -1);
  if (file.size < 0 && response.status == 200) {
    file.size = number(header(response, "content-length"), -1);
  }
  return file;
}

// One GET, from where the partial file ends. True when the content is complete as far as can be
// told; false, with the response, when it broke off.
bool HubConnection::load_part(const std::string& url, const HubFile& file, const fs::path& partial,
                              const std::function<void(int64_t)>& on_bytes,
                              HttpResponse& response) {
  PartialFile out(partial);
  const auto drop = [&] {
    on_bytes(-out.size());
    out.clear();
  };
  if (file.size >= 0 && out.size() > file.size) drop();
  if (file.size >= 0 && out.size() == file.size) return true;
  HttpRequest request{.url = url, .headers = {"Accept-Encoding: identity"}};
  request.connect_timeout_s = env_.metadata_timeout_s;
  request.stall_timeout_s = env_.download_timeout_s;
  const int64_t have = out.size();
  if (have > 0) request.headers.push_back(fmt::format("Range: bytes={}-", have));
  request.begin = [&](long status, const std::map<std::string, std::string>& headers) {
    if (status == 206) {
      const auto range = headers.find("content-range");
      return range != headers.end() && range->second.starts_with(fmt::format("bytes {}-", have));
    }
    if (status == 200 && out.size() > 0) drop();  // the server knows no ranges
    return status == 200;
  };
  request.body = [&](std::string_view bytes) {
    if (file.size >= 0 && out.size() + static_cast<int64_t>(bytes.size()) > file.size) {
      throw_error(ErrorKind::bad_format, file.path, "the hub sends more than the {} bytes it named",
                  file.size);
    }
    out.append(bytes);
    on_bytes(static_cast<int64_t>(bytes.size()));
  };
  response = send_once(std::move(request), /*leave_hub=*/true);
  if (response.status == 416 && response.problem.empty()) drop();  // the partial file is no prefix
  const bool good = response.status == 200 || response.status == 206;
  if (!good || !response.problem.empty()) return false;
  out.sync();
  return file.size < 0 || out.size() == file.size;
}

void HubConnection::download(const std::string& url, const HubFile& file, const fs::path& partial,
                             const std::function<void(int64_t)>& on_bytes) {
  const EtagKind kind = etag_kind(file.etag);
  std::error_code ignored;
  if (const auto have = fs::file_size(partial, ignored); !ignored) {
    on_bytes(static_cast<int64_t>(have));
  }
  bool fresh = false;  // a wrong checksum is given one try from the start
  int failures = 0;
  while (true) {
    const auto before = fs::exists(partial) ? fs::file_size(partial) : 0;
    HttpResponse response;
    if (!load_part(url, file, partial, on_bytes, response)) {
      const bool moved = fs::file_size(partial) > before;
      failures = moved ? 1 : failures + 1;
      const bool cut = response.status == 200 || response.status == 206;
      if ((!may_pass(response) && !cut && response.status != 416) || failures >= options_.tries) {
        if (cut && response.problem.empty()) {
          response.problem = fmt::format("{} ends at {} of {} bytes", file.path,
                                         fs::file_size(partial), file.size);
        }
        if (fs::file_size(partial) == 0) fs::remove(partial);
        fail(response, file.path);
      }
      pause(failures, response);
      continue;
    }
    const std::string sum = file_checksum(partial, kind);
    if (kind == EtagKind::unknown) {
      count_event(
          "unverified_downloads", 1,
          fmt::format("{}: the hub gives no checksum, only its size was checked", file.path));
    }
    if (kind == EtagKind::unknown || sum == file.etag) return;
    on_bytes(-static_cast<int64_t>(fs::file_size(partial)));
    fs::remove(partial);
    if (fresh) {
      throw_error(ErrorKind::bad_format, file.path,
                  "checksum is {}, the hub says {}; the download was damaged twice and is removed, "
                  "try again or another HF_ENDPOINT",
                  sum, file.etag);
    }
    fresh = true;
  }
}

}  // namespace akin::store
