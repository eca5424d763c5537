#include "arqon/calibrate/history.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace arqon::calibrate {
namespace {

// A scrape of an engine that has served `n` requests of 100 prompt and 20 output tokens.
std::string page(double n, double running, const char* engine = "0") {
  return fmt::format(
      "vllm:num_requests_running{{engine=\"{0}\"}} {2}\n"
      "vllm:num_requests_waiting{{engine=\"{0}\"}} 1\n"
      "vllm:kv_cache_usage_perc{{engine=\"{0}\"}} 0.25\n"
      "vllm:request_success_total{{engine=\"{0}\",finished_reason=\"length\"}} {1}\n"
      "vllm:prompt_tokens_total{{engine=\"{0}\"}} {3}\n"
      "vllm:generation_tokens_total{{engine=\"{0}\"}} {4}\n"
      "vllm:inter_token_latency_seconds_sum{{engine=\"{0}\"}} {5}\n"
      "vllm:inter_token_latency_seconds_count{{engine=\"{0}\"}} {6}\n"
      "vllm:request_prompt_tokens_bucket{{engine=\"{0}\",le=\"50\"}} 0\n"
      "vllm:request_prompt_tokens_bucket{{engine=\"{0}\",le=\"100\"}} {1}\n"
      "vllm:request_prompt_tokens_bucket{{engine=\"{0}\",le=\"+Inf\"}} {1}\n"
      "vllm:request_prompt_tokens_sum{{engine=\"{0}\"}} {3}\n"
      "vllm:request_prompt_tokens_count{{engine=\"{0}\"}} {1}\n"
      "vllm:cache_config_info{{engine=\"{0}\",block_size=\"16\",num_gpu_blocks=\"1234\"}} 1\n",
      engine, n, running, 100 * n, 20 * n, 19 * n * 0.05, 19 * n);
}

std::string scrapes(const std::vector<std::pair<double, std::string>>& pages) {
  std::string out;
  for (const auto& [t, text] : pages) out += fmt::format("# scraped {}\n", t) + text;
  return out;
}

TEST(History, windows_are_differences_of_counters_and_means_of_gauges) {
  const auto history = read_history(
      scrapes({{100, page(10, 2)}, {110, page(30, 4)}, {120, page(50, 6)}, {130, page(60, 8)}}));
  ASSERT_TRUE(history);
  const Observations windows = windows_of(*history, 20);
  ASSERT_EQ(windows.size(), 1u) << "ten seconds more are not a window";
  EXPECT_EQ(windows[0].seconds, 20);
  EXPECT_EQ(windows[0].finished, 40);
  EXPECT_EQ(windows[0].prompt_length(), 100);
  EXPECT_EQ(windows[0].output_length(), 20);
  EXPECT_EQ(windows[0].running, 4);
  EXPECT_EQ(windows[0].waiting, 1);
  EXPECT_EQ(windows[0].kv_use, 0.25);
  EXPECT_NEAR(windows[0].gap_ms, 50, 1e-9);
}

TEST(History, several_engines_count_as_one_of_them_on_average) {
  const auto history = read_history(
      scrapes({{0, page(0, 2, "0") + page(0, 4, "1")}, {10, page(10, 2, "0") + page(30, 4, "1")}}));
  ASSERT_TRUE(history);
  const Observations windows = windows_of(*history, 5);
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_EQ(windows[0].finished, 20);
  EXPECT_EQ(windows[0].running, 3);
}

TEST(History, a_restart_voids_its_window) {
  const auto history = read_history(
      scrapes({{0, page(10, 1)}, {10, page(20, 1)}, {20, page(5, 1)}, {30, page(15, 1)}}));
  ASSERT_TRUE(history);
  const Observations windows = windows_of(*history, 5);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[1].t_s, 30);
}

TEST(History, the_traffic_is_what_came_between_the_first_and_the_last_scrape) {
  const auto history = read_history(scrapes({{0, page(10, 1)}, {10, page(30, 1)}}));
  ASSERT_TRUE(history);
  const Traffic traffic = traffic_of(*history);
  EXPECT_EQ(traffic.rate_per_s, 2);
  EXPECT_EQ(traffic.prompt_mean, 100);
  ASSERT_EQ(traffic.prompt.size(), 1u);
  EXPECT_EQ(traffic.prompt[0].above, 50);
  EXPECT_EQ(traffic.prompt[0].to, 100);
  EXPECT_EQ(traffic.prompt[0].share, 1);
  EXPECT_EQ(traffic.kv_blocks, 1234);
  EXPECT_EQ(traffic.prefix_hit, -1);
}

TEST(History, an_answer_of_query_range_gives_the_same_windows) {
  const auto series = [](const char* name, double a, double b) {
    return fmt::format(
        R"({{"metric": {{"__name__": "vllm:{}", "engine": "0"}}, "values": [[0, "{}"], [10, "{}"]]}})",
        name, a, b);
  };
  const std::string text = R"({"status": "success", "data": {"resultType": "matrix", "result": [)" +
                           series("num_requests_running", 2, 4) + "," +
                           series("request_success_total", 0, 20) + "," +
                           series("prompt_tokens_total", 0, 2000) + "," +
                           series("generation_tokens_total", 0, 400) + "]}}";
  EXPECT_TRUE(looks_like_history(text));
  const auto history = read_history(text);
  ASSERT_TRUE(history);
  const Observations windows = windows_of(*history, 5);
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_EQ(windows[0].prompt_length(), 100);
  EXPECT_EQ(windows[0].running, 3);
}

TEST(History, what_is_no_history_is_refused_with_its_place) {
  const auto line_of = [](const std::string& text) {
    const auto read = read_history(text);
    EXPECT_FALSE(read) << text;
    return read ? -1 : read.error().front().line;
  };
  EXPECT_EQ(line_of("# scraped 1\na 1\n# scraped 1\na 2\n"), 3);
  EXPECT_EQ(line_of("# scraped 1\na 1\n# scraped x\na 2\n"), 3);
  EXPECT_EQ(line_of("# scraped 1\na 1\nb c d\n# scraped 2\na 2\n"), 3);
  EXPECT_EQ(line_of("# scraped 1\na 1\n"), 1);
  EXPECT_EQ(line_of("{\"data\": {\"resultType\": \"vector\", \"result\": []}}"), 1);
  EXPECT_EQ(line_of("{\"data\": {\"resultType\": \"matrix\",\n \"result\": [{\"metric\": {}}]}}"),
            2);
  EXPECT_FALSE(looks_like_history("t_s,seconds\n"));
  EXPECT_FALSE(looks_like_history("{\"schema\": 1, \"windows\": []}"));
}

}  // namespace
}  // namespace arqon::calibrate
