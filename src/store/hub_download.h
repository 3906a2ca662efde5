// Requests to the hub: retries, redirects, the token, and one blob at a time into a file.
// Internal to store/.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "store/http_client.h"
#include "store/hub_cache.h"
#include "store/hub_fetch.h"

namespace akin::store {

// What the hub says of a file before it is loaded.
struct HubFile {
  std::string path;   // in the repository
  std::string etag;   // names the blob; a checksum for files of the hub itself
  int64_t size = -1;  // -1: not said
};

class HubConnection {
 public:
  HubConnection(const HubEnv& env, const FetchOptions& options);

  // The body of a small document. Errors: as fetch_repo, naming `what`.
  std::string get_text(const std::string& url, std::string_view what);
  // The headers of a file. Redirects are followed within the hub only, so that the answer is the
  // hub's own word. Errors: as fetch_repo.
  HubFile describe(const std::string& url, const std::string& path, const std::string& commit);
  // The content into `partial`, continuing what is there, checked. `on_bytes` hears of new bytes.
  void download(const std::string& url, const HubFile& file, const std::filesystem::path& partial,
                const std::function<void(int64_t)>& on_bytes);

 private:
  HttpResponse send(const HttpRequest& request, bool leave_hub);
  HttpResponse send_once(HttpRequest request, bool leave_hub);
  [[noreturn]] void fail(const HttpResponse& response, std::string_view what) const;
  void pause(int failures, const HttpResponse& response) const;
  bool load_part(const std::string& url, const HubFile& file, const std::filesystem::path& partial,
                 const std::function<void(int64_t)>& on_bytes, HttpResponse& response);

  const HubEnv& env_;
  const FetchOptions& options_;
  const std::string origin_;  // of the endpoint: the only place that gets the token
  HttpClient client_;
};

}  // namespace akin::store
