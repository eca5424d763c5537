#include "arqon/documents/calibration.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "arqon/documents/example_test_documents.h"
#include "arqon/documents/scenario.h"

namespace arqon::documents {
namespace {

CalibrationDocument example() {
  CalibrationDocument out{.engine = "vllm 0.32.0",
                          .model = "llama-3.1-8b",
                          .gpu = "h100-sxm-80g",
                          .dtype = "fp8",
                          .tp = 2,
                          .kv_cache_blocks = 1234,
                          .block_size = 32};
  out.fit.calibration.host_ms = 2.25;
  out.fit.calibration.linear_compute = 0.9;
  out.fit.scalars = {{.name = "host_ms", .value = 2.25, .prior = 1.5, .low = 2, .high = 2.5}};
  out.fit.source = "running";
  out.fit.windows = 40;
  out.fit.gap_error = 0.03;
  out.fit.kv_tokens = 40000;
  return out;
}

// A folder of its own with one scenario in it whose only pool names `calibration`.
class PoolCalibration : public testing::Test {
 protected:
  PoolCalibration()
      : folder_(std::filesystem::temp_directory_path() /
                ("arqon-calibration-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~PoolCalibration() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  auto parse(const std::string& calibration, const std::string& engine = "{}") const {
    return parse_scenario(
        R"({"schema": 1, "name": "a", "fleet": {"pools": [{"name": "main",
            "model": "llama-3.1-8b", "gpu": "h100-sxm-80g", "engine": )" +
            engine + R"(, "calibration": )" + calibration + R"(}]},
            "workload": {"source": {"generator": "poisson", "rate_per_s": 1},
                         "segments": [{"at_s": 0, "mix": {"chat": 1}}]},
            "classes": {"chat": {"ttft_ms": 300}}})",
        folder_ / "a.json");
  }

  std::filesystem::path folder_;
};

TEST(Calibration, a_document_survives_being_written_and_read) {
  const std::string text = to_json(example());
  const auto read = parse_calibration(text);
  ASSERT_TRUE(read) << wire::to_string(read.error().front(), "a");
  EXPECT_EQ(read->fit.calibration, example().fit.calibration);
  EXPECT_EQ(to_json(*read), text);
}

TEST(Calibration, a_broken_document_names_what_is_wrong) {
  const auto problem = [](const char* text) {
    const auto read = parse_calibration(text);
    EXPECT_FALSE(read) << text;
    return read ? wire::Diagnostic{} : read.error().front();
  };
  EXPECT_EQ(problem(R"({"schema": 1})").path, "scalars");
  EXPECT_EQ(problem(R"({"schema": 2, "scalars": {}})").path, "schema");
  EXPECT_EQ(problem(R"({"schema": 1, "scalars": {"host_ns": 1}})").hint,
            "did you mean \"host_ms\"?");
  EXPECT_EQ(problem(R"({"schema": 1, "scalars": {"host_ms": -1}})").path, "scalars.host_ms");
  EXPECT_EQ(problem(R"({"schema": 1, "scalars": {"linear_memory": 11}})").path,
            "scalars.linear_memory");
}

TEST_F(PoolCalibration, is_a_file_beside_the_scenario_or_the_scalars_themselves) {
  write("c.json", to_json(example()));
  const auto named = parse("\"c.json\"");
  ASSERT_TRUE(named) << wire::to_string(named.error().front(), "a");
  EXPECT_EQ(named->fleet.pools[0].calibration, example().fit.calibration);
  EXPECT_EQ(named->fleet.pools[0].engine.kv_cache_blocks, 1234);
  EXPECT_EQ(named->fleet.pools[0].engine.block_size, 32);
  const auto inline_scalars = parse(R"({"host_ms": 2.25, "linear_compute": 0.9})");
  ASSERT_TRUE(inline_scalars);
  EXPECT_EQ(inline_scalars->fleet.pools[0].calibration, example().fit.calibration);
  EXPECT_FALSE(inline_scalars->fleet.pools[0].engine.kv_cache_blocks);
}

TEST_F(PoolCalibration, what_the_pool_says_of_its_engine_holds) {
  write("c.json", to_json(example()));
  const auto scenario = parse("\"c.json\"", R"({"kv_cache_blocks": 99})");
  ASSERT_TRUE(scenario);
  EXPECT_EQ(scenario->fleet.pools[0].engine.kv_cache_blocks, 99);
}

TEST_F(PoolCalibration, the_effective_document_holds_the_scalars_and_reads_back) {
  write("c.json", to_json(example()));
  const auto scenario = parse("\"c.json\"");
  ASSERT_TRUE(scenario);
  const auto again = parse_scenario(to_json(*scenario), "elsewhere/a.json");
  ASSERT_TRUE(again) << wire::to_string(again.error().front(), "a");
  EXPECT_EQ(again->fleet.pools[0].calibration, scenario->fleet.pools[0].calibration);
  EXPECT_EQ(scenario_hash(*again), scenario_hash(*scenario));
  EXPECT_NE(scenario_hash(*scenario), scenario_hash(*parse("{}")));
}

TEST_F(PoolCalibration, a_file_that_is_not_there_or_broken_is_one_clear_error) {
  const auto missing = parse("\"nowhere.json\"");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().front().path, "fleet.pools[0].calibration");
  EXPECT_EQ(missing.error().front().value, "\"nowhere.json\"");
  write("c.json", R"({"schema": 1, "scalars": {"host_ms": "x"}})");
  const auto broken = parse("\"c.json\"");
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().front().message.find("scalars.host_ms"), std::string::npos);
}

}  // namespace
}  // namespace arqon::documents
