#include "arqon/wire/csv.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace arqon::wire {
namespace {

using Row = std::vector<std::string>;

std::vector<Row> rows_of(std::string_view text) {
  CsvReader reader(text);
  std::vector<Row> rows;
  Row row;
  while (reader.next(row)) rows.push_back(row);
  EXPECT_FALSE(reader.error().has_value()) << reader.error()->message;
  return rows;
}

TEST(CsvReader, reads_quotes_line_ends_and_skips_blank_lines) {
  const auto rows = rows_of("\xEF\xBB\xBFt,a,b\r\n1,\"x,\"\"y\"\"\n z\",\n\n2,,3");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0], (Row{"t", "a", "b"}));
  EXPECT_EQ(rows[1], (Row{"1", "x,\"y\"\n z", ""}));
  EXPECT_EQ(rows[2], (Row{"2", "", "3"}));
}

TEST(CsvReader, says_where_a_row_began_and_what_is_wrong) {
  CsvReader reader("a,b\n\n\"1\n2\",3\n4,\"5\"6\n");
  Row row;
  ASSERT_TRUE(reader.next(row));
  ASSERT_TRUE(reader.next(row));
  EXPECT_EQ(reader.line(), 3);
  EXPECT_FALSE(reader.next(row));
  ASSERT_TRUE(reader.error().has_value());
  EXPECT_EQ(reader.error()->line, 5);
  EXPECT_FALSE(reader.next(row)) << "an error is final";
}

TEST(CsvReader, refuses_broken_text) {
  const std::vector<std::string_view> broken = {"\"open", "a\"b", "\xFF",
                                                std::string_view("a\0b", 3), "\"a\"b,c"};
  for (const std::string_view text : broken) {
    CsvReader reader(text);
    Row row;
    EXPECT_FALSE(reader.next(row)) << text;
    EXPECT_TRUE(reader.error().has_value()) << text;
  }
}

TEST(CsvReader, rows_and_fields_are_bounded) {
  Row row;
  const std::string wide(1000, ',');
  CsvReader many(wide);
  EXPECT_FALSE(many.next(row));
  EXPECT_TRUE(many.error().has_value());
  const std::string long_field(100, 'x');
  CsvReader tall(long_field, {.field_bytes_max = 99});
  EXPECT_FALSE(tall.next(row));
  EXPECT_TRUE(tall.error().has_value());
}

TEST(CsvWriter, quotes_only_where_needed) {
  CsvWriter writer;
  writer.field("a b").field("c,d").field("e\"f").field(0.5).field(std::uint64_t{7});
  writer.end_row();
  writer.field(std::numeric_limits<double>::infinity()).field("").end_row();
  EXPECT_EQ(writer.take(), "a b,\"c,d\",\"e\"\"f\",0.5,7\n,\n");
}

TEST(CsvWriter, a_byte_order_mark_inside_a_field_survives) {
  CsvWriter writer;
  writer.field("\xEF\xBB\xBFt").end_row();
  EXPECT_EQ(rows_of(writer.take()), (std::vector<Row>{{"\xEF\xBB\xBFt"}}));
}

RC_GTEST_PROP(CsvWriter, the_reader_reads_back_what_was_written, ()) {
  const auto cells = *rc::gen::container<std::vector<std::vector<int>>>(
      rc::gen::container<std::vector<int>>(rc::gen::element<int>('a', ',', '"', '\n', '\r', ' ')));
  Row row{"first"};
  for (const auto& cell : cells) {
    std::string text;
    for (const int c : cell) text += static_cast<char>(c);
    row.push_back(text);
  }
  RC_PRE(row.size() <= 256u);
  CsvWriter writer;
  for (const std::string& field : row) writer.field(field);
  writer.end_row();
  const std::string text = writer.take();
  CsvReader reader(text);
  Row again;
  RC_ASSERT(reader.next(again));
  RC_ASSERT(again == row);
}

}  // namespace
}  // namespace arqon::wire
