#include "apps/arqonhpo/calibrate_live.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "apps/arqonhpo/endpoint.h"
#include "apps/arqonhpo/interrupt.h"
#include "apps/arqonhpo/progress.h"
#include "apps/arqonhpo/url_text.h"
#include "arqon/net/http.h"
#include "arqon/wire/json.h"

namespace arqon::app {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kScrapeS = 1;
constexpr double kQuestionS = 60;
// Of each kind: single tokens one after the other, and a prompt that has to be computed.
struct Probe {
  int questions;
  std::uint32_t prompt_tokens, output_tokens;
};
constexpr Probe kProbes[] = {{6, 16, 64}, {6, 1024, 2}};

class Watcher {
 public:
  Watcher(std::string url, Console& console) : url_(std::move(url)), console_(console) {
    while (url_.ends_with('/')) url_.pop_back();
  }

  Result<calibrate::Scrape> scrape() {
    auto answer = client_.get(url_ + "/metrics");
    const double at = std::chrono::duration<double>(Clock::now() - begin_).count();
    if (!answer || answer->status != 200) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{}/metrics does not answer{}", without_credentials(url_),
                              answer ? fmt::format(" (status {})", answer->status) : ""));
    }
    auto metrics = wire::parse_prometheus(answer->body);
    if (!metrics) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{}: {}", without_credentials(url_), metrics.error().message));
    }
    if (!metrics->has("vllm:num_requests_running")) {
      return fail(ErrorCode::kUnavailable,
                  fmt::format("{} is no vLLM: its metrics have no vllm:num_requests_running",
                              without_credentials(url_)));
    }
    return calibrate::Scrape{at, std::move(*metrics)};
  }

  std::string version() {
    const auto answer = client_.get(url_ + "/version");
    const auto page = answer ? wire::parse_json(answer->body) : wire::parse_json("null");
    const wire::Value* version = page ? page->find("version") : nullptr;
    const bool known = version != nullptr && version->as_string() != nullptr;
    return known ? "vllm " + *version->as_string() : "vllm";
  }

  static bool idle(const calibrate::Scrape& scrape) {
    return scrape.metrics.sum("vllm:num_requests_running") +
               scrape.metrics.sum("vllm:num_requests_waiting") <
           0.5;
  }

  // One window a kind of question.
  Result<calibrate::Observations> probe(const Served& served, const std::atomic<bool>& stop) {
    calibrate::Observations out;
    for (const Probe& kind : kProbes) {
      const std::uint32_t room = served.context_max > 0 ? served.context_max / 2 : 1024;
      const std::uint32_t prompt = std::max(1u, std::min(kind.prompt_tokens, room));
      const auto before = scrape();
      if (!before) return tl::unexpected(before.error());
      for (int i = 0; i < kind.questions && !stop; ++i) {
        const auto now = scrape();
        if (!now) return tl::unexpected(now.error());
        if (!idle(*now)) {
          console_.talk("calibrate: somebody uses the engine; no more questions\n");
          return out;
        }
        if (Status asked = ask(served, prompt, kind.output_tokens, i); !asked) {
          return tl::unexpected(asked.error());
        }
      }
      const auto after = scrape();
      if (!after) return tl::unexpected(after.error());
      auto windows = calibrate::windows_of({*before, *after}, 0);
      for (calibrate::Observation& window : windows) {
        // Between two questions nothing ran: what the gauges say of that time is no batch.
        window.running = 1;
        out.push_back(window);
      }
    }
    return out;
  }

  bool wait(double seconds, const std::atomic<bool>& stop) {
    const auto until = Clock::now() + std::chrono::duration<double>(seconds);
    while (Clock::now() < until && !stop) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return !stop;
  }

 private:
  // Token ids that differ from question to question, so that no prefix cache helps.
  Status ask(const Served& served, std::uint32_t prompt, std::uint32_t output, int number) {
    wire::Array ids;
    for (std::uint32_t i = 0; i < prompt; ++i) {
      ids.emplace_back(static_cast<std::int64_t>(
          100 + (i * 131 + static_cast<std::uint32_t>(number) * 17 + asked_ * 29) % 400));
    }
    ++asked_;
    net::Request request;
    request.method = "POST";
    request.url = url_ + "/v1/completions";
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = wire::write_json(wire::Object{{"model", served.model},
                                                 {"prompt", std::move(ids)},
                                                 {"max_tokens", static_cast<std::int64_t>(output)},
                                                 {"ignore_eos", true},
                                                 {"temperature", 0}});
    request.timeout = from_seconds(kQuestionS);
    const auto answer = client_.send(request);
    if (!answer) return tl::unexpected(answer.error());
    if (answer->status == 200) return {};
    return fail(ErrorCode::kUnavailable, fmt::format("a probe was answered with status {}: {}",
                                                     answer->status, answer->body.substr(0, 200)));
  }

  std::string url_;
  Console& console_;
  net::Client client_;
  Clock::time_point begin_ = Clock::now();
  std::uint32_t asked_ = 0;
};

}  // namespace

Result<Watched> watch_vllm(const std::string& url, const CalibrateArgs& args, Console& console) {
  const std::atomic<bool>& stop = install_interrupt();
  Watcher watcher(url, console);
  auto first = watcher.scrape();
  if (!first) return tl::unexpected(first.error());
  Watched out;
  out.engine = watcher.version();
  if (args.probe) {
    auto served = look_at(url, args.served_model, "");
    if (!served) return tl::unexpected(served.error());
    auto idle = watcher.probe(*served, stop);
    if (!idle) return tl::unexpected(idle.error());
    out.idle = std::move(*idle);
  }
  Progress progress(console, args.quiet);
  const auto begin = Clock::now();
  double done = 0;
  do {
    auto scrape = watcher.scrape();
    if (!scrape) return tl::unexpected(scrape.error());
    out.history.push_back(std::move(*scrape));
    done = std::chrono::duration<double>(Clock::now() - begin).count();
    progress.update(std::min(1.0, done / args.seconds), "watching");
  } while (done < args.seconds && watcher.wait(std::min(kScrapeS, args.seconds - done), stop));
  progress.finish();
  return out;
}

}  // namespace arqon::app
