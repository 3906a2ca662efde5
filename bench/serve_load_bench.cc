// How many texts a second a running server embeds, how long one waits, and whether each answer is
// the one for its text: every vector is compared, byte for byte, with what the engine gives for
// that text without a server; with --nearly COSINE by how near it is, for other servers with the
// same weights and other precisions. A closed loop of N connections, each asking again when
// answered, over /v1/embeddings with base64 vectors.
//
//   serve_load_bench --port 8080 --model DIR --texts FILE [--connections 256] [--seconds 20]
//                    [--requests N] [--per-request 1] [--random-length] [--nearly COSINE]
//                    [--pid SERVER]
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <boost/asio.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mat.h"
#include "base/rng.h"
#include "engine/cpu_encoder.h"
#include "model/model.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

struct Plan {
  std::string port = "8080", model, texts, pid;
  size_t connections = 256, per_request = 1, requests = 0;
  double seconds = 20, nearly = 0;  // 0: byte for byte
  bool random_length = false;
};

struct Tally {
  std::vector<float> milliseconds;
  uint64_t texts = 0, failed = 0, wrong = 0, broken = 0;
  std::map<int, uint64_t> statuses;
};

struct Known {
  std::vector<std::string> quoted;  // texts as JSON strings
  akin::Mat<float> vectors;
};

std::string quote_json(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) out += c;
  }
  return out + "\"";
}

size_t decode_base64(const char* text, size_t size, std::vector<uint8_t>& out) {
  static const auto table = [] {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < 64; ++i)
      values[static_cast<uint8_t>(alphabet[i])] = static_cast<int8_t>(i);
    return values;
  }();
  out.clear();
  uint32_t bits = 0;
  int count = 0;
  for (size_t i = 0; i < size; ++i) {
    const int8_t value = table[static_cast<uint8_t>(text[i])];
    if (value < 0) break;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<uint8_t>(bits >> count));
    }
  }
  return out.size();
}

class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(asio::io_context& context, const Plan& plan, const Known& known, Tally& tally,
         uint64_t seed, const Clock::time_point& end, size_t& left)
      : socket_(context),
        plan_(plan),
        known_(known),
        tally_(tally),
        rng_(seed),
        end_(end),
        left_(left) {}

  void start() {
    socket_.async_connect(tcp::endpoint(asio::ip::address_v4::loopback(),
                                        static_cast<uint16_t>(std::stoi(plan_.port))),
                          [self = shared_from_this()](error_code error) {
                            if (error) {
                              ++self->tally_.broken;
                            } else {
                              self->ask();
                            }
                          });
  }

 private:
  void ask() {
    if (Clock::now() >= end_ || left_ == 0) return;
    --left_;
    rows_.clear();
    const size_t count =
        plan_.random_length ? 1 + rng_.below(plan_.per_request) : plan_.per_request;
    std::string body = R"({"model":"","encoding_format":"base64","input":[)";
    for (size_t i = 0; i < count; ++i) {
      rows_.push_back(rng_.below(known_.quoted.size()));
      if (i > 0) body += ',';
      body += known_.quoted[rows_.back()];
    }
    body += "]}";
    request_ =
        "POST /v1/embeddings HTTP/1.1\r\nHost: l\r\nContent-Type: application/json\r\n"
        "Content-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body;
    start_ = Clock::now();
    asio::async_write(socket_, asio::buffer(request_),
                      [self = shared_from_this()](error_code error, size_t) {
                        if (error) {
                          ++self->tally_.broken;
                        } else {
                          self->read();
                        }
                      });
  }

  void read() {
    socket_.async_read_some(asio::buffer(chunk_),
                            [self = shared_from_this()](error_code error, size_t bytes) {
                              if (error) {
                                ++self->tally_.broken;
                                return;
                              }
                              self->answer_.append(self->chunk_.data(), bytes);
                              if (!self->take()) self->read();
                            });
  }

  // False: more to come.
  bool take() {
    const size_t head = answer_.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    const size_t at = answer_.find("Content-Length: ");
    const size_t length = std::stoull(answer_.substr(at + 16, 12));
    if (answer_.size() < head + 4 + length) return false;
    const int status = std::atoi(answer_.c_str() + 9);
    ++tally_.statuses[status];
    const std::chrono::duration<float, std::milli> took = Clock::now() - start_;
    tally_.milliseconds.push_back(took.count());
    if (status == 200) {
      check(head + 4);
    } else {
      ++tally_.failed;
    }
    answer_.erase(0, head + 4 + length);
    ask();
    return true;
  }

  void check(size_t at) {
    constexpr std::string_view kKey = "\"embedding\":\"";
    for (const size_t row : rows_) {
      at = answer_.find(kKey, at);
      if (at == std::string::npos) {
        ++tally_.wrong;
        return;
      }
      at += kKey.size();
      decode_base64(answer_.data() + at, answer_.size() - at, bytes_);
      const size_t size = known_.vectors.cols() * sizeof(float);
      ++tally_.texts;
      tally_.wrong += bytes_.size() == size && same(known_.vectors.row(row)) ? 0 : 1;
    }
  }

  // Both of unit length.
  bool same(const float* known) const {
    if (plan_.nearly == 0) return std::memcmp(bytes_.data(), known, bytes_.size()) == 0;
    double cosine = 0;
    for (size_t d = 0; d < known_.vectors.cols(); ++d) {
      float value = 0;
      std::memcpy(&value, bytes_.data() + d * sizeof value, sizeof value);
      cosine += double{value} * double{known[d]};
    }
    return cosine > plan_.nearly;
  }

  tcp::socket socket_;
  const Plan& plan_;
  const Known& known_;
  Tally& tally_;
  akin::Rng rng_;
  const Clock::time_point& end_;
  size_t& left_;
  Clock::time_point start_;
  std::vector<size_t> rows_;
  std::string request_, answer_;
  std::array<char, 1 << 16> chunk_{};
  std::vector<uint8_t> bytes_;
};

Plan read_plan(int argc, char** argv) {
  Plan plan;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--random-length") {
      plan.random_length = true;
      continue;
    }
    const std::string value = i + 1 < argc ? argv[++i] : "";
    if (flag == "--port") plan.port = value;
    if (flag == "--model") plan.model = value;
    if (flag == "--texts") plan.texts = value;
    if (flag == "--pid") plan.pid = value;
    if (flag == "--connections") plan.connections = std::stoull(value);
    if (flag == "--per-request") plan.per_request = std::stoull(value);
    if (flag == "--requests") plan.requests = std::stoull(value);
    if (flag == "--seconds") plan.seconds = std::stod(value);
    if (flag == "--nearly") plan.nearly = std::stod(value);
  }
  return plan;
}

Known read_known(const Plan& plan) {
  constexpr size_t kTexts = 4000;
  Known known;
  std::vector<std::string> texts;
  std::ifstream file(plan.texts);
  for (std::string line; texts.size() < kTexts && std::getline(file, line);) {
    if (!line.empty()) texts.push_back(line);
  }
  const auto encoder = akin::engine::make_cpu_encoder(akin::model::load_model(plan.model), {});
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  known.vectors = akin::Mat<float>(texts.size(), encoder->info().dim);
  akin::EncodeOptions options;
  options.truncate = akin::Truncate::right;
  encoder->encode(views, options, known.vectors.view());
  for (const auto& text : texts) known.quoted.push_back(quote_json(text));
  return known;
}

double resident_mb(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/statm");
  double size = 0, resident = 0;
  file >> size >> resident;
  return resident * 4096 / 1e6;
}

int run(const Plan& plan) {
  const Known known = read_known(plan);
  const double before = plan.pid.empty() ? 0 : resident_mb(plan.pid);
  asio::io_context context(1);
  Tally tally;
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(
                               std::chrono::duration<double>(plan.seconds));
  size_t left = plan.requests > 0 ? plan.requests : SIZE_MAX;
  for (size_t c = 0; c < plan.connections; ++c)
    std::make_shared<Client>(context, plan, known, tally, 1000 + c, end, left)->start();
  context.run();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  auto& times = tally.milliseconds;
  std::sort(times.begin(), times.end());
  const auto at = [&](double q) {
    return times.empty()
               ? 0.0F
               : times[std::min(times.size() - 1,
                                static_cast<size_t>(q * static_cast<double>(times.size())))];
  };
  std::printf(
      "{\"bench\":\"serve_load\",\"connections\":%zu,\"per_request\":%zu,\"seconds\":%.1f,"
      "\"requests\":%zu,\"texts_per_s\":%.1f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f,"
      "\"not_200\":%llu,\"broken\":%llu,\"wrong_vectors\":%llu,\"rss_mb_before\":%.1f,"
      "\"rss_mb_after\":%.1f}\n",
      plan.connections, plan.per_request, seconds, times.size(),
      static_cast<double>(tally.texts) / seconds, at(0.5), at(0.99), at(1),
      static_cast<unsigned long long>(tally.failed), static_cast<unsigned long long>(tally.broken),
      static_cast<unsigned long long>(tally.wrong), before,
      plan.pid.empty() ? 0 : resident_mb(plan.pid));
  return tally.failed + tally.broken + tally.wrong == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const Plan plan = read_plan(argc, argv);
  if (plan.model.empty() || plan.texts.empty()) {
    std::fprintf(stderr, "serve_load_bench: --model and --texts are needed\n");
    return 2;
  }
  try {
    return run(plan);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "serve_load_bench: %s\n", error.what());
    return 1;
  }
}
