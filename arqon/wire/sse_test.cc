#include "arqon/wire/sse.h"

#include <gtest/gtest.h>

#include <vector>

namespace arqon::wire {
namespace {

std::vector<std::string> events(SseReader& reader, std::string_view text, std::size_t step) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size(); at += step) {
    reader.feed(text.substr(at, step), [&](std::string_view data) { out.emplace_back(data); });
  }
  return out;
}

std::vector<std::string> events(std::string_view text, std::size_t step = 1000) {
  SseReader reader;
  return events(reader, text, step);
}

using Events = std::vector<std::string>;

TEST(SseReader, hands_on_each_complete_event_however_the_bytes_are_cut) {
  const std::string_view text =
      "data: {\"a\":1}\n\n: comment\nevent: x\nid: 3\ndata:two\ndata: lines\n\r\n"
      "data: cr\r\rdata: crlf\r\n\r\ndata: [DONE]\n\n";
  const Events expected{"{\"a\":1}", "two\nlines", "cr", "crlf", "[DONE]"};
  for (const std::size_t step : {1u, 2u, 3u, 7u, 1000u}) EXPECT_EQ(events(text, step), expected);
}

TEST(SseReader, an_event_without_its_blank_line_or_without_data_is_not_handed_on) {
  EXPECT_EQ(events("data: half"), Events{});
  EXPECT_EQ(events("data: half\n"), Events{});
  EXPECT_EQ(events("event: ping\n\n\n\n"), Events{});
  EXPECT_EQ(events("database: no\n\n"), Events{});
}

TEST(SseReader, empty_data_is_an_event_and_one_leading_space_goes) {
  EXPECT_EQ(events("data\n\ndata:\n\ndata:  x\n\n"), (Events{"", "", " x"}));
  EXPECT_EQ(events("\xEF\xBB\xBF"
                   "data: x\n\n"),
            Events{"x"})
      << "a byte order mark is no text";
}

TEST(SseReader, an_event_beyond_the_bound_is_dropped_and_counted_and_the_next_one_comes) {
  SseReader reader(16);
  const std::string text = "data: " + std::string(50, 'x') + "\n\ndata: ok\n\n" +
                           "data: 1234567\ndata: 1234567\n\ndata: fine\n\n";
  EXPECT_EQ(events(reader, text, 5), (Events{"ok", "fine"}));
  EXPECT_EQ(reader.dropped(), 2u);
}

}  // namespace
}  // namespace arqon::wire
