#include "arqon/adapters/vllm/fake_vllm_test.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace arqon::adapters::vllm {

void FakeVllm::start() {
  std::filesystem::create_directories(shared());
  clock.skip(std::chrono::milliseconds(10));
  start_ns = clock.now().time_since_epoch().count();
  effective = {max_num_seqs, max_num_batched_tokens, 0, 0, 1, spec_tokens, 0, 0};
  boot_ = effective;
  epoch = 0;
  reasons_ = 0;
  steps_ = finished_ = 0;
  last_step_ns_ = start_ns;
  metrics_finished_ = metrics_tokens_ = 0;
  down = false;
  if (!plugin) return;
  map();
  done_epoch_ = word(32 + 1);
  seen_seq_ = word(32);
  write_identity();
  restore();
  words(ring_)[5] = start_ns;
  report();
}

void FakeVllm::remap() {
  map();
  fall_back(32);
  report();
}

void FakeVllm::tick() {
  if (idle || hung || stuck || down || !plugin) return;
  if (clock.now().time_since_epoch().count() - last_look_ns_ > 1'000'000'000) {
    last_look_ns_ = clock.now().time_since_epoch().count();
    if (!page_->still_there()) remap();
  }
  obey();
  ++steps_;
  last_step_ns_ = clock.now().time_since_epoch().count();
  if (!silent_api) metrics_tokens_ += 1;
  report();
}

void FakeVllm::serve(int requests, std::int64_t prompt, std::int64_t ttft_us, std::int64_t end) {
  for (int i = 0; i < requests; ++i) {
    ++finished_;
    metrics_finished_ += silent_api ? 0 : 1;
    const std::int64_t tokens = no_tokens ? 0 : 11;
    const auto w = words(ring_);
    const std::int64_t index = w[3];
    const auto at = 8 + static_cast<std::size_t>(index % 16384) * 16;
    const std::array<std::int64_t, 13> record = {clock.now().time_since_epoch().count(),
                                                 prompt,
                                                 tokens,
                                                 0,
                                                 1000,
                                                 5000,
                                                 ttft_us,
                                                 100'000,
                                                 ttft_us + 100'000,
                                                 15'000,
                                                 end,
                                                 100'000,
                                                 tokens > 0 ? tokens - 1 : 0};
    std::copy(record.begin(), record.end(), w.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    w[at] = index + 1;
    w[3] = index + 1;
  }
  tick();
}

Result<net::Response> FakeVllm::answer(const net::Request& request) {
  const std::string path = request.url.substr(request.url.find('/', 8));
  if (down) return fail(ErrorCode::kUnavailable, "connection refused");
  if (path == "/health") return net::Response{.status = health_status};
  if (hung || (mute_metrics && path == "/metrics")) {
    clock.skip(request.timeout);
    return fail(ErrorCode::kUnavailable, "no answer within the timeout");
  }
  net::Response out{.status = 200};
  if (path == "/version") {
    out.body = R"({"version": ")" + version + "\"}";
  } else if (path == "/v1/models") {
    out.body = R"({"object": "list", "data": [{"id": "m", "root": ")" + model +
               R"(", "max_model_len": )" + std::to_string(max_model_len) + "}]}";
  } else if (path == "/metrics") {
    out.body = spoil ? spoil(metrics()) : metrics();
  } else if (path == "/v1/completions") {
    out.body = R"({"choices": [{"text": "x"}]})";
  } else {
    out.status = 404;
  }
  return out;
}

std::string FakeVllm::metrics() const {
  std::ifstream in(std::string(ARQON_SOURCE_DIR) + "/tests/golden/vllm_metrics_0.32.0.txt");
  std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto put = [&](const std::string& series, std::int64_t value) {
    const std::size_t at = text.find("\n" + series);
    if (at == std::string::npos) return;
    const std::size_t begin = text.find(' ', at) + 1;
    text.replace(begin, text.find('\n', begin) - begin, std::to_string(value) + ".0");
  };
  put("vllm:num_requests_running{", idle ? 0 : running);
  put("vllm:num_requests_waiting{", idle ? 0 : waiting);
  put(R"(vllm:request_success_total{engine="0",finished_reason="length")", metrics_finished_);
  put("vllm:generation_tokens_total{", metrics_tokens_);
  put(R"(vllm:admission_rejections_total{model_name="m",reason="max_num_queued_reqs")", rejected);
  put("process_start_time_seconds", start_ns / 1'000'000);
  return text;
}

void FakeVllm::map() {
  page_ = *os::MappedFile::open_or_create(page_path(), 4096);
  ring_ = *os::MappedFile::open_or_create(ring_path(), 64 + 16384 * 128);
  words(page_)[0] = 0x314d4c4c56515241, words(page_)[1] = 1, words(page_)[2] = 4096;
  words(ring_)[0] = 0x31474e5256515241, words(ring_)[1] = 1, words(ring_)[2] = 16384;
  words(ring_)[5] = start_ns;
  seen_seq_ = 0;
  last_look_ns_ = clock.now().time_since_epoch().count();
}

std::int64_t FakeVllm::hash(const std::string& text) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return static_cast<std::int64_t>(h);
}

void FakeVllm::write_identity() {
  const wire::Value document = wire::Object{{"schema", 1},
                                            {"vllm", version},
                                            {"model", model},
                                            {"hardware", hardware},
                                            {"pid", pid()},
                                            {"supported", !plain},
                                            {"why", plain ? "vLLM 9.9 was not checked" : ""}};
  ASSERT_TRUE(os::write_file(state() / "identity.json", wire::write_json(document)));
}

void FakeVllm::restore() {
  const auto text = os::read_file(state() / "confirmed.json", 65536);
  if (!text) return;
  const auto document = wire::parse_json(*text);
  const wire::Value* who = document->find("identity");
  if (*who->find("vllm")->as_string() != version || *who->find("model")->as_string() != model) {
    return;
  }
  epoch = *document->find("epoch")->as_int();
  reasons_ = 8;
  static const std::array<std::string, 8> names = {
      "batch_size",          "prefill_token_budget", "long_prefill_threshold",
      "kv_headroom_blocks",  "reserve_full_prompt",  "speculative_decoding_k",
      "max_queued_requests", "max_queued_tokens"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (const wire::Value* v = document->find("values")->find(names[i])) {
      effective[i] = *v->as_int();
    }
  }
  clamp_to_flags();
}

void FakeVllm::clamp_to_flags() {
  effective[0] = std::clamp<std::int64_t>(effective[0], 1, max_num_seqs);
  effective[1] = std::clamp<std::int64_t>(effective[1], (1 + spec_tokens) * max_num_seqs,
                                          max_num_batched_tokens);
}

void FakeVllm::put_block(std::size_t first, std::int64_t reasons) {
  const auto w = words(page_);
  const auto mask = static_cast<std::uint64_t>(w[first + 2]);
  epoch = w[first + 1];
  reasons_ = reasons;
  if (no_effect) return;
  for (std::size_t i = 0; i < kValues; ++i) {
    effective[i] = ((mask >> i) & 1U) != 0 ? w[first + 3 + i] : boot_[i];
  }
  if (clamp && effective[0] > *clamp) effective[0] = *clamp, reasons_ |= 1;
  clamp_to_flags();
}

void FakeVllm::fall_back(std::int64_t more) {
  if (words(page_)[64 + 1] != 0) {
    put_block(64, 4 | more);
  } else {
    effective = boot_;
    epoch = 0;
    reasons_ = 4 | more;
    restore();
  }
  commanded_ = false;
}

void FakeVllm::obey() {
  const auto w = words(page_);
  const bool leased = w[4] > clock.now().time_since_epoch().count();
  if (commanded_ && !leased) fall_back(0);
  if (w[32] == seen_seq_ || (w[32] & 1) != 0) return;
  seen_seq_ = w[32];
  if (w[33] == 0 || w[33] == done_epoch_) return;
  std::uint64_t sum = 0;
  for (std::size_t i = 1; i < 19; ++i) sum += static_cast<std::uint64_t>(w[32 + i]);
  ASSERT_EQ(static_cast<std::int64_t>(sum ^ 0x314d4c4c56515241U), w[32 + 19]) << "check word";
  ++writes;
  done_epoch_ = w[33];
  if (!leased) return fall_back(0);
  commanded_ = true;
  put_block(32, 0);
}

void FakeVllm::report() {
  for (const std::size_t slot : {std::size_t{0}, std::size_t{7}}) {
    const auto w = words(page_).subspan(128 + slot * 48, 48);
    w[0] |= 1;
    w[1] = epoch;
    w[2] = slot == 7 ? 0xc0 : plain ? 0 : spec_table ? 0x3f : 0x1f;
    std::copy(effective.begin(), effective.end(), w.begin() + 3);
    w[19] = reasons_ | (plain ? 16 : 0);
    w[20] = steps_, w[21] = last_step_ns_;
    w[22] = idle ? 0 : running, w[23] = idle ? 0 : waiting, w[24] = 0;
    w[25] = blocks_free, w[26] = blocks, w[27] = 0, w[28] = 64, w[29] = pid(), w[30] = start_ns;
    w[31] = hash(version);
    w[32] = hash(version + std::string(1, '\0') + model + std::string(1, '\0') + hardware);
    w[33] = 5000, w[34] = 100'000, w[35] = 0, w[36] = 0;
    w[37] = max_num_seqs, w[38] = max_num_batched_tokens, w[39] = max_model_len;
    w[40] = spec_tokens, w[41] = block_size, w[42] = finished_, w[43] = spec_table ? 1 : 0;
    w[44] = running;
    w[0] += torn ? 2 : 1;
  }
}

}  // namespace arqon::adapters::vllm
