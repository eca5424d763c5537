#include "arqon/load/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>

#include "arqon/wire/json.h"

namespace arqon::load {
namespace {

// Short and common, so that most tokenizers make one token of each.
constexpr std::array<std::string_view, 64> kWords = {
    "time", "year", "people", "way",   "day",   "man",  "thing", "woman", "life",  "child", "world",
    "school", "state", "family", "student", "group", "country", "problem", "hand", "part", "place",
    "case", "week", "company", "system", "program", "question", "work", "government", "number",
    "night", "point", "home", "water", "room", "mother", "area", "money", "story", "fact", "month",
    "lot", "right", "study", "book", "eye", "job", "word", "business", "issue", "side", "kind",
    "head", "house", "service", "friend", "father", "power", "hour", "game", "line", "end",
    "member", "law"};

void append_ids(std::string& out, const Options& options, Rng rng, std::uint32_t count) {
  const std::uint64_t range = std::uint64_t{options.token_id_last} - options.token_id_first + 1;
  out += '[';
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    fmt::format_to(std::back_inserter(out), "{}", options.token_id_first + rng.below(range));
  }
  out += ']';
}

void append_words(std::string& out, Rng rng, std::uint32_t count) {
  out += '"';
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) out += ' ';
    out += kWords[rng.below(kWords.size())];
  }
  out += '"';
}

}  // namespace

std::string request_body(const Options& options, const Rng& stream, std::uint64_t index,
                         std::uint32_t prompt_tokens, std::uint32_t output_tokens) {
  const Rng rng = stream.stream(index);
  const std::uint32_t length = std::max<std::uint32_t>(1, prompt_tokens);
  std::string out = "{";
  if (!options.model.empty()) {
    out += "\"model\":" + wire::write_json(wire::Value(options.model)) + ",";
  }
  if (options.endpoint == Endpoint::kChat) {
    out += R"("messages":[{"role":"user","content":)";
    append_words(out, rng, length);
    out += "}]";
  } else {
    out += "\"prompt\":";
    if (options.prompts == Prompts::kTokenIds) append_ids(out, options, rng, length);
    if (options.prompts == Prompts::kWords) append_words(out, rng, length);
  }
  fmt::format_to(std::back_inserter(out), R"(,"max_tokens":{},"temperature":0)",
                 std::max<std::uint32_t>(1, output_tokens));
  if (options.ignore_eos) out += R"(,"ignore_eos":true)";
  out += R"(,"stream":true,"stream_options":{"include_usage":true}})";
  return out;
}

}  // namespace arqon::load
