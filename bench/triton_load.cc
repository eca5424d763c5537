#include "bench/triton_load.h"

#include <algorithm>

namespace arqon::bench {
namespace {

constexpr std::string_view kBody =
    R"({"inputs":[{"name":"IN","shape":[1,1],"datatype":"INT32","data":[1]}]})";

double nearest_rank(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<std::size_t>(q * static_cast<double>(sorted.size()));
  return sorted[std::min(rank, sorted.size() - 1)];
}

}  // namespace

TritonLoad::TritonLoad(const std::string& url, const std::string& model, int clients)
    : url_(url + "/v2/models/" + model + "/infer"), clients_(static_cast<std::size_t>(clients)) {
  for (Client& client : clients_) threads_.emplace_back([this, &client] { run(client); });
}

TritonLoad::~TritonLoad() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
}

void TritonLoad::run(Client& client) {
  net::Client connection;
  net::Request request;
  request.method = "POST";
  request.url = url_;
  request.body = kBody;
  request.timeout = std::chrono::seconds(30);
  while (!stop_) {
    const TimePoint begin = clock_.now();
    const auto answer = connection.send(request);
    const TimePoint end = clock_.now();
    const bool ok = answer && answer->status == 200;
    {
      const std::lock_guard lock(client.mutex);
      client.samples.push_back({.end = end, .ms = to_ms(end - begin), .ok = ok});
    }
    // A server that is away answers at once: no storm.
    if (!ok) clock_.wait_until(end + std::chrono::milliseconds(5));
  }
}

LoadWindow TritonLoad::measure(double seconds, double limit_ms) {
  const TimePoint from = clock_.now();
  clock_.wait_until(from + from_seconds(seconds));
  return between(from, clock_.now(), limit_ms);
}

LoadWindow TritonLoad::between(TimePoint from, TimePoint to, double limit_ms) const {
  LoadWindow window{.seconds = to_seconds(to - from)};
  std::vector<double> times;
  for (const Client& client : clients_) {
    const std::lock_guard lock(client.mutex);
    for (auto it = client.samples.rbegin(); it != client.samples.rend() && it->end >= from; ++it) {
      if (it->end >= to) continue;
      ++window.requests;
      if (!it->ok) ++window.failed;
      if (!it->ok || it->ms > limit_ms) ++window.over;
      if (it->ok) times.push_back(it->ms);
    }
  }
  std::sort(times.begin(), times.end());
  window.per_second = static_cast<double>(times.size()) / window.seconds;
  window.p50_ms = nearest_rank(times, 0.5);
  window.p99_ms = nearest_rank(times, 0.99);
  window.max_ms = times.empty() ? 0 : times.back();
  return window;
}

}  // namespace arqon::bench
