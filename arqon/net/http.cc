#include "arqon/net/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "arqon/base/assert.h"

namespace arqon::net {
namespace {

constexpr std::size_t kHeaderBytesMax = 256u << 10;
// Servers close idle connections after a few seconds (uvicorn: 5); one that is nearly there is not
// used again, because a request lost to that race cannot be repeated safely.
constexpr long kIdleSecondsMax = 4;

using OnBytes = std::function<bool(std::string_view)>;

// One exchange as the callbacks see it.
struct Exchange {
  const Request* request = nullptr;
  const OnBytes* on_bytes = nullptr;  // null: keep the body
  Response response;
  std::size_t body_bytes = 0, header_bytes = 0, sent = 0;
  bool too_large = false, stopped = false;
};

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  return text;
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size * count);
  exchange.header_bytes += line.size();
  if (exchange.header_bytes > kHeaderBytesMax) {
    exchange.too_large = true;
    return 0;
  }
  if (line.starts_with("HTTP/")) {
    exchange.response.headers.clear();  // what came before was a 100 Continue
  } else if (const std::size_t colon = line.find(':'); colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    exchange.response.headers.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  }
  return line.size();
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view bytes(data, size * count);
  exchange.body_bytes += bytes.size();
  if (exchange.body_bytes > exchange.request->bytes_max) {
    exchange.too_large = true;
    return 0;
  }
  if (exchange.on_bytes == nullptr) {
    exchange.response.body += bytes;
  } else if (!(*exchange.on_bytes)(bytes)) {
    exchange.stopped = true;
    return 0;
  }
  return bytes.size();
}

// The body is sent through a callback and not as a block, because libcurl then cannot send it a
// second time on its own when a kept connection breaks.
std::size_t on_send(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view rest = std::string_view(exchange.request->body).substr(exchange.sent);
  const std::size_t part = std::min(rest.size(), size * count);
  std::memcpy(data, rest.data(), part);
  exchange.sent += part;
  return part;
}

class HeaderList {
 public:
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(list_); }
  void add(const std::string& line) {
    curl_slist* longer = curl_slist_append(list_, line.c_str());
    ARQON_ASSERT(longer != nullptr);
    list_ = longer;
  }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

bool printable(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 127; });
}

Status check(const Request& request) {
  const bool web = request.url.starts_with("http://") || request.url.starts_with("https://");
  if (!web || !printable(request.url)) {
    return fail(ErrorCode::kInvalidConfig,
                fmt::format("\"{}\" is not an http:// or https:// URL", request.url));
  }
  const auto token = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (request.method.empty() || !std::all_of(request.method.begin(), request.method.end(), token)) {
    return fail(ErrorCode::kUsage, fmt::format("\"{}\" is not an HTTP method", request.method));
  }
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || name.find_first_of(": ") != std::string::npos || !printable(name) ||
        !printable(value)) {
      return fail(ErrorCode::kUsage, fmt::format("\"{}\" cannot be an HTTP header", name));
    }
  }
  return {};
}

void add_headers(const Request& request, HeaderList& list) {
  for (const auto& [name, value] : request.headers) {
    list.add(value.empty() ? name + ";" : name + ": " + value);
  }
  list.add("Expect:");  // no waiting for 100 Continue
  const bool typed = std::any_of(
      request.headers.begin(), request.headers.end(),
      [](const Header& h) { return curl_strequal(h.first.c_str(), "content-type") != 0; });
  if (!typed) list.add("Content-Type:");
}

template <typename T>
void set(CURL* curl, CURLoption option, T value) {
  ARQON_ASSERT(curl_easy_setopt(curl, option, value) == CURLE_OK);
}

void set_method(CURL* curl, const Request& request) {
  const std::string& method = request.method;
  if (method == "HEAD") {
    set(curl, CURLOPT_NOBODY, 1L);
  } else if (!request.body.empty() || method == "POST" || method == "PUT" || method == "PATCH") {
    set(curl, CURLOPT_POST, 1L);
    set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  } else {
    set(curl, CURLOPT_HTTPGET, 1L);
    if (method != "GET") set(curl, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
}

void set_options(CURL* curl, Exchange& exchange, const HeaderList& headers, char* error) {
  const Request& request = *exchange.request;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(request.timeout).count();
  set(curl, CURLOPT_ERRORBUFFER, error);
  set(curl, CURLOPT_URL, request.url.c_str());
  set_method(curl, request);
  set(curl, CURLOPT_HTTPHEADER, headers.get());
  set(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<decltype(ms)>(ms, 1)));
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl, CURLOPT_HTTP_VERSION,
      static_cast<long>(request.http2 ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
                                      : CURL_HTTP_VERSION_1_1));
  // libcurl 7.88 breaks off the second exchange of an HTTP/2 connection opened by prior knowledge
  // ("Error in the HTTP2 framing layer"); these calls are rare enough for a connection each.
  set(curl, CURLOPT_FRESH_CONNECT, request.http2 ? 1L : 0L);
  set(curl, CURLOPT_FORBID_REUSE, request.http2 ? 1L : 0L);
  // Engines are reached directly; a proxy named in the environment is for the outside.
  set(curl, CURLOPT_PROXY, "");
  set(curl, CURLOPT_USERAGENT, "arqonhpo");
  set(curl, CURLOPT_MAXAGE_CONN, kIdleSecondsMax);
  if (!request.unix_socket.empty()) {
    set(curl, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
  }
  set(curl, CURLOPT_HEADERFUNCTION, on_header);
  set(curl, CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
  set(curl, CURLOPT_WRITEFUNCTION, on_body);
  set(curl, CURLOPT_WRITEDATA, static_cast<void*>(&exchange));
  set(curl, CURLOPT_READFUNCTION, on_send);
  set(curl, CURLOPT_READDATA, static_cast<void*>(&exchange));
}

std::string explain(CURLcode code, const Exchange& exchange, const char* error) {
  const Request& request = *exchange.request;
  std::string place = request.url;
  if (!request.unix_socket.empty()) place += " at " + request.unix_socket;
  if (exchange.too_large) {
    return fmt::format("{} answered more than {} bytes", place, request.bytes_max);
  }
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return fmt::format("{} did not answer within {} ms", place, to_ms(request.timeout));
  }
  return fmt::format("{}: {}", place, error[0] != '\0' ? error : curl_easy_strerror(code));
}

}  // namespace

struct Client::Impl {
  // Reference-counted inside libcurl and thread-safe there since 7.84.
  Impl() : curl((curl_global_init(CURL_GLOBAL_DEFAULT), curl_easy_init())) {
    ARQON_ASSERT(curl != nullptr);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { curl_easy_cleanup(curl); }

  Result<Response> exchange(const Request& request, const OnBytes* on_bytes) {
    if (const Status ok = check(request); !ok) return tl::unexpected<Error>(ok.error());
    Exchange exchange{.request = &request, .on_bytes = on_bytes};
    HeaderList headers;
    add_headers(request, headers);
    std::array<char, CURL_ERROR_SIZE> error{};
    curl_easy_reset(curl);  // options only: connections stay
    set_options(curl, exchange, headers, error.data());
    const CURLcode code = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
    if (code != CURLE_OK && !exchange.stopped) {
      return fail(ErrorCode::kUnavailable, explain(code, exchange, error.data()));
    }
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = static_cast<int>(status);
    return std::move(exchange.response);
  }

  CURL* curl;
};

const std::string* Response::header(std::string_view name) const {
  // The last one: a trailer is the later word.
  const auto it = std::find_if(headers.rbegin(), headers.rend(),
                               [&](const Header& header) { return header.first == name; });
  return it == headers.rend() ? nullptr : &it->second;
}

Client::Client() : impl_(std::make_unique<Impl>()) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Response> Client::send(const Request& request) { return impl_->exchange(request, nullptr); }

Result<Response> Client::get(std::string_view url) { return send({.url = std::string(url)}); }

Result<Response> Client::post_json(std::string_view url, std::string_view json) {
  return send({.method = "POST",
               .url = std::string(url),
               .headers = {{"Content-Type", "application/json"}},
               .body = std::string(json)});
}

Result<Response> Client::stream(const Request& request, const OnBytes& on_bytes) {
  return impl_->exchange(request, &on_bytes);
}

}  // namespace arqon::net
