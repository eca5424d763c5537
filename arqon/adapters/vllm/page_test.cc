#include "arqon/adapters/vllm/page.h"

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "arqon/adapters/vllm/fake_vllm_test.h"
#include "arqon/adapters/vllm/ring.h"

namespace arqon::adapters::vllm {
namespace {

std::string golden(const std::string& name) {
  std::ifstream in(std::string(ARQON_SOURCE_DIR) + "/tests/golden/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write(const std::filesystem::path& path, std::string bytes, std::size_t size) {
  bytes.resize(size);
  std::ofstream(path, std::ios::binary) << bytes;
  std::filesystem::permissions(path, std::filesystem::perms(0600));
}

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class VllmPage : public ::testing::Test {
 protected:
  TestFolder folder{"page"};
  std::filesystem::path path = folder.path / "p.page";
  std::filesystem::path ring_path = folder.path / "p.ring";
};

TEST_F(VllmPage, blocks_written_by_python_are_read) {
  write(path, golden("vllm_page.bin"), 4096);
  const auto page = Page::open(path);
  ASSERT_TRUE(page) << page.error().message;
  Block command{.epoch = 7};
  command.set(kBatchSize, 16);
  command.set(kPrefillTokenBudget, 1024);
  command.set(kSpeculativeK, 2);
  EXPECT_EQ(page->command(), command);
  Block confirmed{.epoch = 5};
  confirmed.set(kBatchSize, 24);
  confirmed.set(kMaxQueuedTokens, 9'000'000'000);
  EXPECT_EQ(page->confirmed(), confirmed);
  EXPECT_EQ(page->lease(), 100'000'000'000);
}

TEST_F(VllmPage, a_report_written_by_python_is_read_word_by_word) {
  write(path, golden("vllm_page.bin"), 4096);
  const auto page = Page::open(path);
  const auto r = page->report(0);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->epoch, 7);
  EXPECT_EQ(r->supported, 0x3fU);
  EXPECT_EQ(r->effective[kPrefillTokenBudget], 1024);
  EXPECT_EQ(r->effective[kSpeculativeK], 2);
  EXPECT_TRUE(r->has(kClamped));
  EXPECT_FALSE(r->has(kLapsed));
  const std::array<std::int64_t, 12> figures = {r->steps,   r->last_step_ns,    r->running,
                                                r->waiting, r->skipped_waiting, r->blocks_free,
                                                r->blocks,  r->preemptions,     r->tokens_last_step,
                                                r->pid,     r->start_ns,        r->running_max};
  EXPECT_EQ(figures, (std::array<std::int64_t, 12>{4242, 99'000'000'000, 12, 3, 1, 3000, 4096, 5,
                                                   77, 321, 98'000'000'000, 16}));
  EXPECT_EQ(r->version_hash, fnv1a("0.32.0"));
  EXPECT_EQ(r->identity_hash, fnv1a(std::string_view("0.32.0\0/models/mid\0cpu", 22)));
  const std::array<std::int64_t, 11> flags = {r->page_ns,          r->schedule_ns,
                                              r->errors,           r->torn,
                                              r->max_num_seqs,     r->max_num_batched_tokens,
                                              r->max_model_len,    r->num_speculative_tokens,
                                              r->block_size,       r->finished,
                                              r->speculation_table};
  EXPECT_EQ(flags, (std::array<std::int64_t, 11>{123'456, 9'876'543, 1, 2, 32, 2048, 512, 4, 128,
                                                 555, 1}));
}

TEST_F(VllmPage, a_report_whose_writer_died_in_the_middle_is_torn_and_a_blank_one_is_absent) {
  write(path, golden("vllm_page.bin"), 4096);
  const auto page = Page::open(path);
  EXPECT_FALSE(page->report(1));
  const auto blank = page->report(2);
  ASSERT_TRUE(blank);
  EXPECT_FALSE(blank->present());
}

TEST_F(VllmPage, what_is_written_is_byte_for_byte_what_python_writes) {
  auto page = Page::open(path);
  ASSERT_TRUE(page) << page.error().message;
  Block command{.epoch = 7};
  command.set(kBatchSize, 16);
  command.set(kPrefillTokenBudget, 1024);
  command.set(kSpeculativeK, 2);
  for (int i = 0; i < 3; ++i) page->write_command(command);  // seq 6, as in the fixture
  Block confirmed{.epoch = 5};
  confirmed.set(kBatchSize, 24);
  confirmed.set(kMaxQueuedTokens, 9'000'000'000);
  page->write_confirmed(confirmed);
  page->set_lease(100'000'000'000);
  page->set_tuner_pid(4321);
  EXPECT_EQ(read(path).substr(0, 128 * 8), golden("vllm_page.bin").substr(0, 128 * 8));
}

TEST_F(VllmPage, a_wrong_check_or_an_odd_sequence_is_no_block) {
  std::string bytes = golden("vllm_page.bin");
  bytes[(32 + 3) * 8] = 17;  // a value without its check
  bytes[64 * 8] = 3;         // a writer that never came back
  write(path, bytes, 4096);
  const auto page = Page::open(path);
  EXPECT_FALSE(page->command());
  EXPECT_FALSE(page->confirmed());
}

TEST_F(VllmPage, a_block_whose_writer_died_is_written_over) {
  std::string bytes = golden("vllm_page.bin");
  bytes[32 * 8] = 9;
  write(path, bytes, 4096);
  auto page = Page::open(path);
  page->write_command({.epoch = 8});
  EXPECT_EQ(page->command(), Block{.epoch = 8});
}

TEST_F(VllmPage, every_senseless_word_of_a_report_is_noticed) {
  // Counts that cannot be below zero.
  for (const std::size_t word : {1U,  3U,  20U, 22U, 23U, 24U, 25U, 26U, 27U, 28U, 29U,
                                 30U, 35U, 37U, 38U, 39U, 40U, 41U, 42U, 43U, 44U}) {
    std::string bytes = golden("vllm_page.bin");
    bytes[(128 + word) * 8 + 7] = '\x80';
    write(path, bytes, 4096);
    EXPECT_FALSE(Page::open(path)->report(0)) << "word " << word;
  }
}

TEST_F(VllmPage, other_files_are_refused_with_what_to_do) {
  write(path, "hello", 4096);
  const auto page = Page::open(path);
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::kConflict);
  EXPECT_NE(page.error().message.find("delete it"), std::string::npos) << page.error().message;
  write(path, "", 100);
  EXPECT_EQ(Page::open(path).error().code, ErrorCode::kConflict);
  write(path, "hello", 64 + 16384 * 128);
  EXPECT_EQ(Ring::open(path).error().code, ErrorCode::kConflict);
}

TEST_F(VllmPage, a_reader_beside_a_writer_never_sees_a_mixture) {
  auto page = Page::open(path);
  auto other = Page::open(path);
  std::jthread writer([&](const std::stop_token& stop) {
    for (std::int64_t i = 1; !stop.stop_requested(); ++i) {
      Block block{.epoch = i};
      for (std::size_t s = 0; s < kSlots; ++s) block.set(s, i);
      other->write_command(block);
    }
  });
  int seen = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto block = page->command();
    if (!block) continue;
    ++seen;
    for (const std::int64_t value : block->values) ASSERT_EQ(value, block->epoch);
  }
  EXPECT_GT(seen, 1000);
}

// --- Ring ---------------------------------------------------------------------------------------
class VllmRing : public VllmPage {
 protected:
  static constexpr std::size_t kBytes = 64 + 16384 * 128;
  // Writes a whole record as the plugin does.
  void append(std::int64_t prompt) {
    auto file = os::MappedFile::open_or_create(ring_path, kBytes);
    void* bytes = file->bytes().data();
    const std::span<std::int64_t> w{static_cast<std::int64_t*>(bytes), kBytes / 8};
    const std::int64_t index = w[3];
    const auto at = 8 + static_cast<std::size_t>(index % 16384) * 16;
    w[at + 2] = prompt;
    w[at + 11] = 0;
    w[at] = index + 1;
    w[3] = index + 1;
  }
};

TEST_F(VllmRing, records_written_by_python_are_read_and_the_half_written_one_is_lost) {
  write(ring_path, golden("vllm_ring.bin"), kBytes);
  auto ring = Ring::open(ring_path, Ring::From::kStart);
  ASSERT_TRUE(ring) << ring.error().message;
  const Ring::Batch batch = ring->read();
  ASSERT_EQ(batch.records.size(), 3U);
  EXPECT_EQ(batch.lost, 1U);
  const Record& r = batch.records[0];
  EXPECT_EQ(r.at_ns, 99'000'000'000);
  EXPECT_EQ(r.prompt_tokens, 100);
  EXPECT_EQ(r.output_tokens, 11);
  EXPECT_EQ(r.cached_tokens, 64);
  EXPECT_EQ(r.queue_us, 1000);
  EXPECT_EQ(r.prefill_us, 5000);
  EXPECT_EQ(r.ttft_us, 20'000);
  EXPECT_EQ(r.decode_us, 100'000);
  EXPECT_EQ(r.e2e_us, 120'000);
  EXPECT_EQ(r.gap_us_max, 15'000);
  EXPECT_EQ(r.gaps_us, 99'500);
  EXPECT_EQ(r.gaps, 10);
  EXPECT_EQ(batch.records[1].gap_us_max, -1);
  EXPECT_EQ(batch.records[2].end, Record::kAbort);
}

TEST_F(VllmRing, a_reader_begins_with_the_next_record_and_reads_each_once) {
  write(ring_path, golden("vllm_ring.bin"), kBytes);
  auto ring = Ring::open(ring_path);
  EXPECT_TRUE(ring->read().records.empty());
  append(7);
  append(8);
  const auto batch = ring->read();
  ASSERT_EQ(batch.records.size(), 2U);
  EXPECT_EQ(batch.records[0].prompt_tokens, 7);
  EXPECT_EQ(batch.records[1].prompt_tokens, 8);
  EXPECT_TRUE(ring->read().records.empty());
}

TEST_F(VllmRing, a_reader_that_falls_behind_says_how_many_it_lost) {
  auto ring = Ring::open(ring_path);
  {
    auto file = os::MappedFile::open_or_create(ring_path, kBytes);
    void* bytes = file->bytes().data();
    const std::span<std::int64_t> w{static_cast<std::int64_t*>(bytes), kBytes / 8};
    w[0] = 0x31474e5256515241, w[1] = 1, w[2] = 16384;
  }
  for (int i = 0; i < 16384 + 100; ++i) append(i + 1);
  const auto batch = ring->read();
  EXPECT_EQ(batch.lost, 100U);
  ASSERT_EQ(batch.records.size(), 16384U);
  EXPECT_EQ(batch.records.front().prompt_tokens, 101);
  EXPECT_EQ(batch.records.back().prompt_tokens, 16484);
}

TEST_F(VllmRing, another_writer_is_a_restart_and_goes_on_with_the_numbers) {
  write(ring_path, golden("vllm_ring.bin"), kBytes);
  auto ring = Ring::open(ring_path);
  {
    auto file = os::MappedFile::open_or_create(ring_path, kBytes);
    void* bytes = file->bytes().data();
    std::span<std::int64_t>{static_cast<std::int64_t*>(bytes), 8}[5] = 99;
  }
  append(7);
  const auto batch = ring->read();
  EXPECT_TRUE(batch.restarted);
  EXPECT_EQ(batch.records.size(), 1U);
}

TEST_F(VllmRing, a_garbage_header_costs_records_and_nothing_else) {
  for (const std::int64_t written :
       {std::int64_t{-5}, std::int64_t{1} << 62, std::int64_t{1}, std::int64_t{0}}) {
    write(ring_path, golden("vllm_ring.bin"), kBytes);
    auto ring = Ring::open(ring_path);
    auto file = os::MappedFile::open_or_create(ring_path, kBytes);
    void* bytes = file->bytes().data();
    std::span<std::int64_t>{static_cast<std::int64_t*>(bytes), 8}[3] = written;
    const auto batch = ring->read();
    EXPECT_LE(batch.records.size(), 16384U) << written;
  }
}

}  // namespace
}  // namespace arqon::adapters::vllm
