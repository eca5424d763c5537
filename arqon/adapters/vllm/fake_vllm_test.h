// Stands in for a vLLM with the plugin, for hermetic tests: writes page, ring and state folder as
// docs/formats/vllm-page.md says, word by word and with no code of the adapter, answers HTTP with a
// recorded /metrics, and misbehaves as it is told.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "arqon/adapters/vllm/engine.h"
#include "arqon/os/file.h"
#include "arqon/os/mapped_file.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::vllm {

// Time passes only in wait_until, a millisecond at a time, and the engine lives in between.
class FakeClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  void wait_until(TimePoint t) override {
    while (now_ < t) {
      now_ += std::min<Duration>(std::chrono::milliseconds(1), t - now_);
      if (on_tick) on_tick();
    }
  }
  void pass(Duration d) { wait_until(now_ + d); }
  // A call that blocks, such as a request that times out.
  void skip(Duration d) { now_ += d; }
  std::function<void()> on_tick;

 private:
  TimePoint now_ = time_at(1000);
};

// A folder that is gone with the test.
class TestFolder {
 public:
  explicit TestFolder(const std::string& name)
      : path(std::filesystem::temp_directory_path() /
             ("arqon_vllm_" + name + "_" + std::filesystem::read_symlink("/proc/self").string())) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  std::filesystem::path path;
};

class FakeVllm {
 public:
  static constexpr std::size_t kValues = 16;
  using ValueArray = std::array<std::int64_t, kValues>;

  explicit FakeVllm(const std::string& test, std::string engine_name = "t")
      : name(std::move(engine_name)), folder_(test + "_" + name) {
    std::filesystem::create_directories(state());
    clock.on_tick = [this] { tick(); };
    start();
  }

  // --- What a test sets --------------------------------------------------------------------------
  std::string name;
  std::string version = "0.32.0", model = "/models/mid", hardware = "cpu";
  std::int64_t max_num_seqs = 32, max_num_batched_tokens = 2048, max_model_len = 512;
  std::int64_t spec_tokens = 4, block_size = 128, blocks = 4096;
  bool spec_table = true;
  std::int64_t running = 2, waiting = 0, blocks_free = 4000;
  bool plugin = true;       // false: the stock scheduler
  bool plain = false;       // the plugin's, but of an unknown version
  bool idle = false;        // nobody steps
  bool hung = false;        // nobody steps though requests run; telemetry does not answer
  bool stuck = false;       // nobody steps though requests run; telemetry answers
  bool silent_api = false;  // steps, but the API process tells nothing of them
  bool mute_metrics = false;  // /metrics does not answer; all else does
  bool down = false;
  bool no_effect = false, torn = false, no_tokens = false;
  std::optional<std::int64_t> clamp;              // of batch_size
  std::function<std::string(std::string)> spoil;  // what /metrics answers instead
  int health_status = 200;
  FakeClock clock;

  // --- What a test reads -------------------------------------------------------------------------
  ValueArray effective{};
  std::int64_t epoch = 0;
  int writes = 0;  // commands seen on the page
  std::int64_t start_ns = 0;

  std::filesystem::path shared() const { return folder_.path / "shm"; }
  std::filesystem::path page_path() const { return shared() / ("arqonhpo-vllm-" + name + ".page"); }
  std::filesystem::path ring_path() const { return shared() / ("arqonhpo-vllm-" + name + ".ring"); }
  std::filesystem::path state() const { return folder_.path / "state"; }

  // The engine starts: with the values of its flags, or with what was confirmed.
  void start();

  // A page made anew by the plugin goes on with the confirmed set.
  void remap();

  // One step of the scheduler, as every millisecond brings one.
  void tick();

  // Its last requests are gone: it looks at nothing until the next one.
  void become_idle() {
    idle = true;
    report();
  }
  void become_busy() {
    idle = false;
    tick();
  }

  // Requests that came and went.
  void serve(int requests, std::int64_t prompt = 100, std::int64_t ttft_us = 20'000,
             std::int64_t end = 0);

  std::int64_t word(std::size_t i) { return words(page_)[i]; }
  void set_word(std::size_t i, std::int64_t value) { words(page_)[i] = value; }

  World world() {
    World out;
    out.http = [this](const net::Request& request) { return answer(request); };
    out.shared_memory = shared();
    return out;
  }

  wire::Value target(const std::string& more = "") const {
    const std::string text = R"({"engine": "vllm", "url": "http://fake", "name": ")" + name +
                             R"(", "stuck_s": 5, "state": ")" + state().string() + "\"" + more +
                             "}";
    return *wire::parse_json(text);
  }

  Result<net::Response> answer(const net::Request& request);

  std::string metrics() const;
  std::int64_t rejected = 0;

 private:
  static std::span<std::int64_t> words(std::optional<os::MappedFile>& file) {
    void* bytes = file->bytes().data();
    return {static_cast<std::int64_t*>(bytes), file->bytes().size() / 8};
  }

  void map();

  static std::int64_t hash(const std::string& text);

  void write_identity();

  static std::int64_t pid() {
    return std::stoll(std::filesystem::read_symlink("/proc/self").string());
  }

  void restore();

  void clamp_to_flags();

  void put_block(std::size_t first, std::int64_t reasons);

  void fall_back(std::int64_t more);

  void obey();

  void report();

  TestFolder folder_;
  std::optional<os::MappedFile> page_, ring_;
  ValueArray boot_{};
  std::int64_t reasons_ = 0, steps_ = 0, finished_ = 0, last_step_ns_ = 0, last_look_ns_ = 0;
  std::int64_t seen_seq_ = 0, done_epoch_ = 0;
  std::int64_t metrics_finished_ = 0, metrics_tokens_ = 0;
  bool commanded_ = false;
};

}  // namespace arqon::adapters::vllm
