#include "arqon/adapters/triton/model_config.h"

#include <gtest/gtest.h>

#include "arqon/adapters/triton/triton_test_fake.h"

namespace arqon::adapters::triton {
namespace {

using wire::Value;

Value parse(const std::string& text) {
  const auto value = wire::parse_json(text);
  EXPECT_TRUE(value.has_value()) << text;
  return value.value_or(Value());
}

Value real() { return parse(recorded("config.json")); }

std::string with(std::string_view from, std::string_view to) {
  std::string text = recorded("config.json");
  EXPECT_NE(text.find(from), std::string::npos) << from;
  replace_all(text, from, to);
  return text;
}

TEST(TritonConfig, a_recorded_config_is_whole_and_says_its_knobs) {
  const Value config = real();
  ASSERT_TRUE(check_whole(config, "sleeper"));
  EXPECT_EQ(read_knob(config, Knob::kPreferredBatchSize).value(), 4);
  EXPECT_EQ(read_knob(config, Knob::kMaxWait).value(), 5);
  EXPECT_EQ(read_knob(config, Knob::kBatchSize).value(), 32);
  EXPECT_EQ(read_knob(config, Knob::kInstances).value(), 1);
  EXPECT_EQ(read_knob(config, Knob::kMaxQueuedRequests).value(), kUnlimitedQueue);
  EXPECT_EQ(read_knob(config, Knob::kQueueTimeout).value(), kUnlimitedTimeout_ms);
}

TEST(TritonConfig, every_knob_reads_back_what_was_written_and_touches_nothing_else) {
  const std::array<std::pair<Knob, double>, 8> writes{{{Knob::kPreferredBatchSize, 8},
                                                       {Knob::kMaxWait, 12.345},
                                                       {Knob::kMaxWait, 0},
                                                       {Knob::kBatchSize, 16},
                                                       {Knob::kInstances, 3},
                                                       {Knob::kMaxQueuedRequests, 64},
                                                       {Knob::kMaxQueuedRequests, kUnlimitedQueue},
                                                       {Knob::kQueueTimeout, 250}}};
  for (const auto& [knob, value] : writes) {
    Value config = real();
    write_knob(config, knob, value);
    EXPECT_EQ(read_knob(config, knob).value(), value) << info(knob).name;
    EXPECT_EQ(stored_value(knob, value), value);
    const std::array<Knob, 1> one{knob};
    EXPECT_EQ(fingerprint(config, one), fingerprint(real(), one)) << info(knob).name;
    EXPECT_TRUE(check_whole(config, "sleeper"));
  }
}

TEST(TritonConfig, a_change_elsewhere_changes_the_fingerprint_and_the_order_of_keys_does_not) {
  const std::array<Knob, 2> ours{Knob::kPreferredBatchSize, Knob::kMaxWait};
  const std::string before = fingerprint(real(), ours);
  EXPECT_NE(before, fingerprint(parse(with("\"count\":1", "\"count\":2")), ours));
  EXPECT_NE(before,
            fingerprint(parse(with("\"max_batch_size\":32", "\"max_batch_size\":31")), ours));
  EXPECT_NE(before, fingerprint(parse(with("\"dims\":[1]", "\"dims\":[2]")), ours));
  EXPECT_EQ(before, fingerprint(parse(with("\"name\":\"sleeper\",\"platform\":\"\"",
                                           "\"platform\":\"\",\"name\":\"sleeper\"")),
                                ours));
  EXPECT_EQ(before, fingerprint(parse(with("[4]", "[16]")), ours));
}

TEST(TritonConfig, what_a_partial_config_lacks_is_named_and_refused) {
  const std::array<std::pair<std::string, std::string_view>, 10> partial{{
      {R"({"name":"sleeper","backend":"python","max_batch_size":8})", "`input`"},
      {with("\"name\":\"sleeper\",\"platform\"", "\"name\":\"other\",\"platform\""), "`name`"},
      {with("\"backend\":\"python\"", "\"backend\":\"\""), "backend"},
      {with("\"max_batch_size\":32", "\"max_batch_size\":\"32\""), "max_batch_size"},
      {with("\"output\":[", "\"outputs\":["), "`output`"},
      {with("[4]", "[0]"), "preferred_batch_size"},
      {with("[4]", "\"4\""), "preferred_batch_size"},
      {with("microseconds\":5000", "microseconds\":-1"), "max_queue_delay"},
      {with("\"count\":1", "\"count\":1.5"), "instance_group"},
      {"[]", "no object"},
  }};
  for (const auto& [text, word] : partial) {
    const Status status = check_whole(parse(text), "sleeper");
    ASSERT_FALSE(status) << text;
    EXPECT_EQ(status.error().code, ErrorCode::kRefused);
    EXPECT_NE(status.error().message.find(word), std::string::npos) << status.error().message;
  }
}

TEST(TritonConfig, a_knob_the_model_lacks_says_why) {
  std::string text = recorded("config.json");
  const std::size_t begin = text.find("\"dynamic_batching\"");
  text.erase(begin, text.find("\"instance_group\"") - begin);
  const auto wait = read_knob(parse(text), Knob::kMaxWait);
  ASSERT_FALSE(wait);
  EXPECT_NE(wait.error().message.find("dynamic_batching { }"), std::string::npos);
  const auto sizes = read_knob(parse(with("[4]", "[4,8]")), Knob::kPreferredBatchSize);
  ASSERT_FALSE(sizes);
  EXPECT_NE(sizes.error().message.find("2 preferred sizes"), std::string::npos);
  const auto batch = read_knob(parse(with("size\":32", "size\":0")), Knob::kBatchSize);
  EXPECT_FALSE(batch);
}

TEST(TritonConfig, a_preferred_size_that_no_batch_reaches_is_an_error_with_both_numbers) {
  Value config = real();
  write_knob(config, Knob::kBatchSize, 3);
  const Status status = check_constraints(config);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidConfig);
  EXPECT_NE(status.error().message.find("4 is above batch_size 3"), std::string::npos);
}

}  // namespace
}  // namespace arqon::adapters::triton
