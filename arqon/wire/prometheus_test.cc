#include "arqon/wire/prometheus.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>

namespace arqon::wire {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Exposition parsed(std::string_view text) {
  auto result = parse_prometheus(text);
  if (!result) ADD_FAILURE() << to_string(result.error(), "text");
  return result ? *result : Exposition({});
}

std::string refusal(std::string_view text) {
  const auto result = parse_prometheus(text);
  return result ? "accepted" : to_string(result.error(), "m");
}

std::string corpus(const std::string& name) {
  std::ifstream in(std::string(ARQON_SOURCE_DIR) + "/tests/corpora/prometheus/" + name);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(ParsePrometheus, reads_names_labels_escapes_and_special_numbers) {
  const Exposition e = parsed(
      "# HELP x text\n# TYPE x gauge\n\n"
      "x 1\nx{} 2\n  x { a = \"b\" , c=\"d\\\"e\\\\f\\ng\", }\t3 1700000000\n"
      "y{a=\"\u00e9\"} NaN\ny +Inf\ny -Inf\ny 1e3\nz_total 5 # {trace=\"q\"} 0.5 1.2\n# EOF\n");
  ASSERT_EQ(e.series().size(), 8u);
  EXPECT_EQ(e.sum("x"), 6);
  EXPECT_EQ(*e.series()[2].label("c"), "d\"e\\f\ng");
  EXPECT_EQ(e.series()[2].label("none"), nullptr);
  EXPECT_TRUE(std::isnan(e.series()[3].value));
  EXPECT_EQ(e.series()[4].value, kInf);
  EXPECT_EQ(e.series()[5].value, -kInf);
  EXPECT_EQ(e.sum("z_total"), 5);
  EXPECT_FALSE(e.has("z"));
  EXPECT_TRUE(parsed("").series().empty());
}

TEST(ParsePrometheus, a_real_scrape_of_vllm_reads_as_it_was_written) {
  const Exposition e = parsed(corpus("vllm_0.32.0.txt"));
  EXPECT_EQ(e.sum("vllm:num_requests_running", {{"engine", "0"}}), 0);
  EXPECT_TRUE(e.has("vllm:kv_cache_usage_perc"));
  EXPECT_GT(e.sum("process_start_time_seconds"), 1.7e9);
  const Buckets ttft = e.buckets("vllm:time_to_first_token_seconds");
  ASSERT_GT(ttft.bounds.size(), 10u);
  EXPECT_EQ(ttft.bounds.front(), 0.001);
  EXPECT_EQ(ttft.bounds.back(), kInf);
  EXPECT_EQ(ttft.counts.back(), ttft.count);
  EXPECT_GT(ttft.count, 0);
  EXPECT_GT(ttft.sum, 0);
}

TEST(ParsePrometheus, every_cut_of_a_scrape_inside_a_line_is_refused) {
  const std::string text = corpus("vllm_0.32.0.txt");
  ASSERT_GT(text.size(), 1000u);
  for (std::size_t cut = 1; cut < text.size(); cut += 7) {
    if (text[cut - 1] == '\n') continue;
    EXPECT_FALSE(parse_prometheus(std::string_view(text).substr(0, cut))) << cut;
  }
}

TEST(ParsePrometheus, refusals_name_line_and_column) {
  EXPECT_EQ(refusal("x 1\ny 2"),
            "m:2:4: the last line has no newline: the answer was cut (got y 2)");
  EXPECT_EQ(refusal("x 1\ny abc\n"), "m:2:3: not a number (got abc)");
  EXPECT_EQ(refusal("x\n").substr(0, 6), "m:1:2:");
  EXPECT_EQ(refusal("9x 1\n").substr(0, 24), "m:1:1: not a metric name");
  EXPECT_EQ(refusal("x{9=\"a\"} 1\n").substr(0, 6), "m:1:3:");
  EXPECT_EQ(refusal("x{a=\"b} 1\n").substr(0, 36), "m:1:10: the label value does not end");
}

TEST(ParsePrometheus, refuses_broken_labels_numbers_and_bytes) {
  for (const std::string_view text :
       {"x{a=\"b\\q\"} 1\n", "x{a=\"b\"c=\"d\"} 1\n", "x{a=b} 1\n", "x{a} 1\n", "x{a=\"b\" 1\n",
        "x{a=\"\xFF\"} 1\n", "x 1e999\n", "x ++1\n", "x 1,5\n", "x 0x10\n", "x 1 2 3\n",
        "x 1 soon\n", "x-y 1\n", "<html>\n", "{\"a\": 1}\n", "x 1\r\n", "x{,} 1\n"}) {
    EXPECT_FALSE(parse_prometheus(text)) << text;
  }
}

TEST(ParsePrometheus, is_bounded_in_series_and_bytes) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "x 1\n";
  EXPECT_EQ(parsed(text).sum("x"), 100'000);
  EXPECT_EQ(refusal(text + "x 1\n").substr(0, 32), "m:100001:1: more than 100000 ser");
  EXPECT_FALSE(parse_prometheus(std::string((8u << 20) + 1, '\n')));
}

TEST(Exposition, sums_only_the_series_that_carry_the_labels) {
  const Exposition e = parsed("x{m=\"a\",r=\"0\"} 1\nx{m=\"a\",r=\"1\"} 2\nx{m=\"b\"} 4\n");
  EXPECT_EQ(e.sum("x"), 7);
  EXPECT_EQ(e.sum("x", {{"m", "a"}}), 3);
  EXPECT_EQ(e.sum("x", {{"r", "1"}, {"m", "a"}}), 2);
  EXPECT_EQ(e.sum("x", {{"m", "c"}}), 0);
}

TEST(Exposition, buckets_of_several_series_add_up_at_the_bounds_they_share) {
  const Exposition e = parsed(
      "t_bucket{r=\"0\",le=\"0.1\"} 1\nt_bucket{r=\"0\",le=\"0.5\"} "
      "2\nt_bucket{r=\"0\",le=\"+Inf\"} 3\n"
      "t_sum{r=\"0\"} 0.9\nt_count{r=\"0\"} 3\n"
      "t_bucket{r=\"1\",le=\"+Inf\"} 30\nt_bucket{r=\"1\",le=\"0.1\"} 10\nt_sum{r=\"1\"} 9\n"
      "t_count{r=\"1\"} 30\n");
  const Buckets all = e.buckets("t");
  EXPECT_EQ(all.bounds, (std::vector<double>{0.1, kInf}));
  EXPECT_EQ(all.counts, (std::vector<double>{11, 33}));
  EXPECT_EQ(all.count, 33);
  EXPECT_DOUBLE_EQ(all.sum, 9.9);
  EXPECT_EQ(e.buckets("t", {{"r", "0"}}).bounds, (std::vector<double>{0.1, 0.5, kInf}));
  EXPECT_TRUE(e.buckets("none").bounds.empty());
  EXPECT_TRUE(parsed("h_bucket{le=\"1\"} 2\n").buckets("h").bounds.empty()) << "no +Inf, no count";
}

}  // namespace
}  // namespace arqon::wire
