#include <gtest/gtest.h>

#include "arqon/audit/testing/tamper.h"

namespace arqon::audit::testing {
namespace {

// The long form, with figures, is audit_study.
TEST(Tamper, every_flip_insertion_deletion_swap_and_cut_is_found_and_located) {
  Chain chain(120);
  ASSERT_GE(chain.segments.size(), 3u);
  ASSERT_FALSE(chain.look().finding);
  std::array<int, kTamperings> tried{};
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Trial trial = tamper(chain, Rng(7).stream(i));
    ++tried[static_cast<std::size_t>(trial.kind)];
    ASSERT_TRUE(trial.good()) << "trial " << i << ", kind " << static_cast<int>(trial.kind)
                              << ", record " << trial.expected << ": "
                              << (trial.found ? to_text(*trial.found) : "not found");
  }
  for (const int n : tried) EXPECT_GT(n, 300);
  EXPECT_FALSE(chain.look().finding) << "the chain was not put back";
}

// One byte of a record's own text, whichever it is.
TEST(Tamper, every_byte_of_one_record_counts) {
  Chain chain(4);
  const std::string whole = *chain.file(1);
  const std::size_t begin = whole.find("{\"seq\":3"), end = whole.find('\n', begin) + 1;
  for (std::size_t at = begin; at < end; ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    *chain.file(1) = changed;
    const auto finding = chain.look().finding;
    ASSERT_TRUE(finding) << at - begin;
    EXPECT_EQ(finding->seq, 3u) << at - begin;
  }
}

}  // namespace
}  // namespace arqon::audit::testing
