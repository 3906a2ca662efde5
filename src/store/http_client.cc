// See http_client.h.
#include "store/http_client.h"

#include <curl/curl.h>

#include <exception>
#include <mutex>
#include <new>

#include "base/error.h"
#include "base/progress.h"

namespace akin::store {
namespace {

constexpr size_t kMaxHeaderBytes = 256 << 10;

struct Transfer {
  CURL* curl;
  const HttpRequest& request;
  HttpResponse& response;
  size_t header_bytes = 0;
  bool begun = false, keep = true;
  std::exception_ptr error;

  // The status and headers are complete: let the caller decide.
  void start() {
    if (begun) return;
    begun = true;
    ::curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
    if (request.begin) keep = request.begin(response.status, response.headers);
  }
};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

size_t on_header(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  std::string_view line(data, size);
  transfer.header_bytes += size;
  if (transfer.header_bytes > kMaxHeaderBytes) return 0;
  if (line.starts_with("HTTP/")) transfer.response.headers.clear();
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string_view value = line.substr(colon + 1);
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!value.empty() && space(value.front())) value.remove_prefix(1);
  while (!value.empty() && space(value.back())) value.remove_suffix(1);
  transfer.response.headers[lower(line.substr(0, colon))] = value;
  return size;
}

size_t on_body(char* data, size_t, size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  try {
    transfer.start();
    if (transfer.keep && transfer.request.body) transfer.request.body({data, size});
    return size;
  } catch (...) {
    transfer.error = std::current_exception();
    return 0;
  }
}

int on_progress(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return interrupt_flag().load() ? 1 : 0;
}

bool is_permanent(CURLcode code) {
  return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL ||
         code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
}

struct HeaderList {
  curl_slist* list = nullptr;
  ~HeaderList() { ::curl_slist_free_all(list); }
};

void set_options(CURL* curl, const HttpRequest& request, Transfer& transfer, HeaderList& headers) {
  ::curl_easy_reset(curl);  // keeps connections
  for (const std::string& header : request.headers) {
    headers.list = ::curl_slist_append(headers.list, header.c_str());
  }
  ::curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  ::curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list);
  ::curl_easy_setopt(curl, CURLOPT_NOBODY, request.head ? 1L : 0L);
  ::curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  ::curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  ::curl_easy_setopt(curl, CURLOPT_USERAGENT, "akin/" AKIN_VERSION);
#if LIBCURL_VERSION_NUM >= 0x075500
  ::curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  ::curl_easy_setopt(curl, CURLOPT_PROTOCOLS, long{CURLPROTO_HTTP | CURLPROTO_HTTPS});
#endif
  ::curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(1000 * request.connect_timeout_s));
  ::curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
  ::curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
                     static_cast<long>(request.stall_timeout_s < 1 ? 1 : request.stall_timeout_s));
  ::curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  ::curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  ::curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  ::curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  ::curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  ::curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
}

std::string url_part(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (::curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string out(text);
  ::curl_free(text);
  return out;
}

}  // namespace

HttpClient::HttpClient() {
  static std::once_flag once;
  std::call_once(once, [] { ::curl_global_init(CURL_GLOBAL_DEFAULT); });
  curl_ = ::curl_easy_init();
  if (curl_ == nullptr) throw std::bad_alloc();
}

HttpClient::~HttpClient() { ::curl_easy_cleanup(static_cast<CURL*>(curl_)); }

HttpResponse HttpClient::perform(const HttpRequest& request) {
  check_interrupted();
  auto* curl = static_cast<CURL*>(curl_);
  HttpResponse response;
  Transfer transfer{curl, request, response, 0, false, true, nullptr};
  HeaderList headers;
  char message[CURL_ERROR_SIZE] = "";
  set_options(curl, request, transfer, headers);
  ::curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, message);
  const CURLcode code = ::curl_easy_perform(curl);
  ::curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  if (transfer.error) std::rethrow_exception(transfer.error);
  check_interrupted();
  if (code != CURLE_OK) {
    response.problem = *message != '\0' ? message : ::curl_easy_strerror(code);
    response.permanent = is_permanent(code);
    return response;
  }
  transfer.start();  // an empty body
  char* redirect = nullptr;
  ::curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &redirect);
  if (redirect != nullptr) response.redirect = redirect;
  return response;
}

std::string url_origin(const std::string& url) {
  CURLU* parsed = ::curl_url();
  if (parsed == nullptr) throw std::bad_alloc();
  std::string out;
  if (::curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK) {
    const std::string scheme = url_part(parsed, CURLUPART_SCHEME, 0);
    const std::string host = lower(url_part(parsed, CURLUPART_HOST, 0));
    const std::string port = url_part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    if ((scheme == "http" || scheme == "https") && !host.empty()) {
      out = fmt::format("{}://{}:{}", scheme, host, port);
    }
  }
  ::curl_url_cleanup(parsed);
  return out;
}

std::string url_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace akin::store
