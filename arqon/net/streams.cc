#include "arqon/net/streams.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "arqon/base/assert.h"
#include "arqon/os/socket.h"

namespace arqon::net {
namespace {

constexpr int kEventsMax = 256;
// As in http.cc: a kept connection that its server is about to close is not used again.
constexpr long kIdleSecondsMax = 4;

struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct EasyDeleter {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiDeleter {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

// One exchange; lives in a pool and is used again.
struct Exchange {
  std::unique_ptr<CURL, EasyDeleter> easy{curl_easy_init()};
  std::unique_ptr<curl_slist, SlistDeleter> headers;
  Request request;
  StreamSink* sink = nullptr;
  std::size_t bytes = 0, sent = 0;
  bool too_large = false;
};

// A callback and not a block: libcurl cannot send it a second time, so a request that a kept
// connection lost is seen as lost.
std::size_t read_body(char* data, std::size_t one, std::size_t n, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  const std::string& body = exchange->request.body;
  const std::size_t part = std::min(body.size() - exchange->sent, one * n);
  std::memcpy(data, body.data() + exchange->sent, part);
  exchange->sent += part;
  return part;
}

std::size_t write_body(char* data, std::size_t one, std::size_t n, void* user) {
  auto* exchange = static_cast<Exchange*>(user);
  const std::size_t size = one * n;
  exchange->bytes += size;
  if (exchange->bytes > exchange->request.bytes_max) {
    exchange->too_large = true;
    return 0;
  }
  long status = 0;
  curl_easy_getinfo(exchange->easy.get(), CURLINFO_RESPONSE_CODE, &status);
  exchange->sink->on_bytes(static_cast<int>(status), {data, size});
  return size;
}

curl_slist* append(std::unique_ptr<curl_slist, SlistDeleter>& list, const std::string& line) {
  curl_slist* longer = curl_slist_append(list.get(), line.c_str());
  if (longer != nullptr) {
    static_cast<void>(list.release());  // the longer list owns the shorter one
    list.reset(longer);
  }
  return list.get();
}

void set_up(Exchange& exchange, bool fresh) {
  CURL* easy = exchange.easy.get();
  const Request& request = exchange.request;
  curl_easy_reset(easy);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // the environment decides nothing here
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  if (!request.body.empty()) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, &read_body);
    curl_easy_setopt(easy, CURLOPT_READDATA, &exchange);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
  }
  exchange.headers.reset();
  for (const auto& [name, value] : request.headers) {
    append(exchange.headers, fmt::format("{}: {}", name, value));
  }
  // Large prompts would otherwise wait for "100 Continue".
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, append(exchange.headers, "Expect:"));
  const long version =
      request.http2 ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : CURL_HTTP_VERSION_1_1;
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
  if (!request.unix_socket.empty()) {
    curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(request.timeout).count();
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(1, ms)));
  curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, kIdleSecondsMax);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, fresh ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, fresh ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &write_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &exchange);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &exchange);
}

}  // namespace

struct Streams::Impl {
  // Streams die before the multi handle they are added to.
  std::unique_ptr<CURLM, MultiDeleter> multi{curl_multi_init()};
  os::Fd epoll;
  std::vector<std::unique_ptr<Exchange>> exchanges;
  std::vector<Exchange*> idle;
  std::size_t active = 0;
  std::size_t streams_max = 0;
  long timer_ms = -1;  // the longest wait libcurl permits; -1 any

  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* user, void* known);
  static int on_timer(CURLM* multi, long timeout_ms, void* user);
  void act(curl_socket_t fd, int flags);
  void collect();
  void finish(Exchange& exchange, CURLcode code);
};

int Streams::Impl::on_socket(CURL*, curl_socket_t fd, int what, void* user, void* known) {
  auto* self = static_cast<Impl*>(user);
  if (what == CURL_POLL_REMOVE) {
    epoll_ctl(self->epoll.get(), EPOLL_CTL_DEL, fd, nullptr);
    curl_multi_assign(self->multi.get(), fd, nullptr);
    return 0;
  }
  epoll_event event{};
  event.data.fd = fd;
  if ((what & CURL_POLL_IN) != 0) event.events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) event.events |= EPOLLOUT;
  // A descriptor's number comes back after a close, so the kernel's word decides, not ours.
  if (epoll_ctl(self->epoll.get(), EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT) {
    epoll_ctl(self->epoll.get(), EPOLL_CTL_ADD, fd, &event);
  }
  if (known == nullptr) curl_multi_assign(self->multi.get(), fd, self);
  return 0;
}

int Streams::Impl::on_timer(CURLM*, long timeout_ms, void* user) {
  static_cast<Impl*>(user)->timer_ms = timeout_ms;
  return 0;
}

void Streams::Impl::act(curl_socket_t fd, int flags) {
  int running = 0;
  curl_multi_socket_action(multi.get(), fd, flags, &running);
}

void Streams::Impl::finish(Exchange& exchange, CURLcode code) {
  StreamEnd end;
  long status = 0;
  curl_easy_getinfo(exchange.easy.get(), CURLINFO_RESPONSE_CODE, &status);
  end.status = static_cast<int>(status);
  end.timed_out = code == CURLE_OPERATION_TIMEDOUT;
  long connects = 0;
  curl_easy_getinfo(exchange.easy.get(), CURLINFO_NUM_CONNECTS, &connects);
  const bool cut =
      code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR;
  end.lost_on_kept =
      status == 0 && (code == CURLE_SEND_FAIL_REWIND || (cut && connects == 0));
  if (exchange.too_large) {
    end.error = fmt::format("the answer is larger than {} bytes", exchange.request.bytes_max);
  } else if (code == CURLE_SEND_FAIL_REWIND) {
    end.error = "the connection broke before an answer came";
  } else if (code != CURLE_OK) {
    end.error = curl_easy_strerror(code);
    long os_errno = 0;
    curl_easy_getinfo(exchange.easy.get(), CURLINFO_OS_ERRNO, &os_errno);
    if (os_errno != 0) {
      end.error += fmt::format(" ({})", std::strerror(static_cast<int>(os_errno)));
    }
  }
  curl_multi_remove_handle(multi.get(), exchange.easy.get());
  --active;
  // The sink last: it may not start a stream, but the slot is free for whoever comes next.
  StreamSink* sink = std::exchange(exchange.sink, nullptr);
  idle.push_back(&exchange);
  sink->on_end(end);
}

void Streams::Impl::collect() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    Exchange* exchange = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
    finish(*exchange, message->data.result);
  }
}

Streams::Streams(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Streams::Streams(Streams&&) noexcept = default;
Streams& Streams::operator=(Streams&&) noexcept = default;
Streams::~Streams() {
  if (impl_) cancel_all();
}

Result<Streams> Streams::create(std::size_t streams_max) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  auto impl = std::make_unique<Impl>();
  impl->epoll = os::Fd(epoll_create1(EPOLL_CLOEXEC));
  if (ready != CURLE_OK || !impl->multi || !impl->epoll) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("no HTTP streams: {}", std::strerror(errno)));
  }
  impl->streams_max = streams_max;
  CURLM* multi = impl->multi.get();
  curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, &Impl::on_socket);
  curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, impl.get());
  curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, &Impl::on_timer);
  curl_multi_setopt(multi, CURLMOPT_TIMERDATA, impl.get());
  curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(streams_max));
  return Streams(std::move(impl));
}

std::size_t Streams::active() const { return impl_->active; }

Status Streams::start(Request request, StreamSink& sink, bool fresh) {
  if (impl_->active >= impl_->streams_max) {
    return fail(ErrorCode::kConflict, fmt::format("all {} streams are open", impl_->streams_max));
  }
  if (impl_->idle.empty()) {
    auto made = std::make_unique<Exchange>();
    if (!made->easy) return fail(ErrorCode::kUnavailable, "no memory for an HTTP stream");
    impl_->idle.push_back(made.get());
    impl_->exchanges.push_back(std::move(made));
  }
  Exchange& exchange = *impl_->idle.back();
  exchange.request = std::move(request);
  exchange.sink = &sink;
  exchange.bytes = exchange.sent = 0;
  exchange.too_large = false;
  set_up(exchange, fresh);
  if (const CURLMcode code = curl_multi_add_handle(impl_->multi.get(), exchange.easy.get());
      code != CURLM_OK) {
    return fail(ErrorCode::kUnavailable, curl_multi_strerror(code));
  }
  impl_->idle.pop_back();
  ++impl_->active;
  return {};
}

void Streams::cancel_all() {
  for (const auto& exchange : impl_->exchanges) {
    if (exchange->sink == nullptr) continue;
    curl_multi_remove_handle(impl_->multi.get(), exchange->easy.get());
    exchange->sink = nullptr;
    impl_->idle.push_back(exchange.get());
  }
  impl_->active = 0;
}

void Streams::poll(Duration patience) {
  Impl& impl = *impl_;
  if (impl.timer_ms >= 0) {
    patience = std::min<Duration>(patience, std::chrono::milliseconds(impl.timer_ms));
  }
  const auto wait = std::max<std::int64_t>(0, patience.count());
  const timespec until{wait / 1'000'000'000, wait % 1'000'000'000};
  pollfd ready{impl.epoll.get(), POLLIN, 0};
  // epoll_wait alone counts in milliseconds, which is too coarse for a schedule of arrivals.
  const int any = wait > 0 ? ppoll(&ready, 1, &until, nullptr) : 1;
  std::array<epoll_event, kEventsMax> events;
  const int n = any > 0 ? epoll_wait(impl.epoll.get(), events.data(), kEventsMax, 0) : 0;
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    int flags = 0;
    if ((event.events & EPOLLIN) != 0) flags |= CURL_CSELECT_IN;
    if ((event.events & EPOLLOUT) != 0) flags |= CURL_CSELECT_OUT;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) flags |= CURL_CSELECT_ERR;
    impl.act(event.data.fd, flags);
  }
  // libcurl keeps its own deadlines: asking too often is cheap, asking too late is not.
  if (impl.timer_ms >= 0) impl.act(CURL_SOCKET_TIMEOUT, 0);
  impl.collect();
}

}  // namespace arqon::net
