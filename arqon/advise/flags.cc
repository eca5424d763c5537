#include "arqon/advise/flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

#include "arqon/sim/model_data.h"

namespace arqon::advise {
namespace {

// Flags that change nothing the twin knows of; whether a value follows.
struct Harmless {
  std::string_view name;
  bool value;
};
constexpr Harmless kHarmless[] = {
    {"--host", true},
    {"--port", true},
    {"--uds", true},
    {"--api-key", true},
    {"--served-model-name", true},
    {"--load-format", true},
    {"--download-dir", true},
    {"--revision", true},
    {"--tokenizer", true},
    {"--tokenizer-mode", true},
    {"--trust-remote-code", false},
    {"--seed", true},
    {"--disable-log-stats", false},
    {"--disable-log-requests", false},
    {"--enable-log-requests", false},
    {"--no-enable-log-requests", false},
    {"--uvicorn-log-level", true},
    {"--chat-template", true},
    {"--response-role", true},
    {"--ssl-keyfile", true},
    {"--ssl-certfile", true},
    {"--root-path", true},
    {"--allowed-origins", true},
    {"--scheduler-cls", true},
    {"--shutdown-timeout", true},
    {"--swap-space", true},
    {"--enforce-eager", false},
    {"--generation-config", true},
    {"--enable-auto-tool-choice", false},
    {"--tool-call-parser", true},
    {"--reasoning-parser", true},
    {"--distributed-executor-backend", true},
    {"--disable-custom-all-reduce", false},
    {"--enable-chunked-prefill", false},
    {"--enable-prefix-caching", false},
    {"--no-enable-prefix-caching", false},
    {"--max-logprobs", true},
    {"--disable-frontend-multiprocessing", false},
    {"--api-server-count", true},
    {"--otlp-traces-endpoint", true},
    {"--compilation-config", true},
    {"-O", true},
    {"--hf-token", true},
    {"--hf-overrides", true},
    {"--middleware", true},
};
// Flags that make another engine of it.
constexpr std::string_view kNotModelled[] = {"--pipeline-parallel-size",
                                             "-pp",
                                             "--data-parallel-size",
                                             "-dp",
                                             "--enable-lora",
                                             "--enable-expert-parallel",
                                             "--speculative-config",
                                             "--kv-transfer-config",
                                             "--cpu-offload-gb",
                                             "--kv-offloading-size",
                                             "--no-enable-chunked-prefill",
                                             "--decode-context-parallel-size"};
constexpr std::string_view kModel = "--model", kTp = "--tensor-parallel-size", kDtype = "--dtype",
                           kQuantization = "--quantization", kMemory = "--gpu-memory-utilization",
                           kLength = "--max-model-len", kKvDtype = "--kv-cache-dtype",
                           kAsync = "--async-scheduling", kNoAsync = "--no-async-scheduling";

struct Word {
  std::string text;
  int line = 1;
};

// Splits as a shell does, without expanding anything.
std::vector<Word> words_of(std::string_view text) {
  std::vector<Word> out;
  Word word;
  bool open = false;
  char quote = 0;
  int line = 1;
  const auto end = [&] {
    if (open) out.push_back(std::move(word));
    word = {};
    open = false;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
      end();
      continue;
    }
    if (!open) word.line = line;
    open = true;
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      ++i;
      if (text[i] == '\n') {
        ++line;
        open = !word.text.empty();
      } else {
        word.text += text[i];
      }
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == quote && quote != 0) {
      quote = 0;
    } else {
      word.text += c;
    }
  }
  end();
  return out;
}

std::vector<std::string> known_names() {
  std::vector<std::string> out;
  for (const Flag& flag : integer_flags()) out.emplace_back(flag.name);
  for (const auto name :
       {kModel, kTp, kDtype, kQuantization, kMemory, kLength, kKvDtype, kAsync, kNoAsync}) {
    out.emplace_back(name);
  }
  for (const Harmless& flag : kHarmless) out.emplace_back(flag.name);
  return out;
}

class Parser {
 public:
  explicit Parser(std::vector<Word> words) : words_(std::move(words)) {}

  tl::expected<EngineFlags, wire::Diagnostics> parse() {
    skip_command();
    while (at_ < words_.size()) read_one();
    if (out_.model.empty() && problems_.empty()) {
      problem("", "no model is named: vllm serve MODEL", "");
    }
    if (!problems_.empty()) return tl::unexpected(std::move(problems_));
    return out_;
  }

 private:
  void problem(const std::string& value, std::string message, std::string hint) {
    const int line = at_ < words_.size() ? words_[at_].line : 1;
    problems_.push_back({"", line, 1, wire::shortened(value), std::move(message), std::move(hint)});
  }

  const std::string& word() const { return words_[at_].text; }

  // CUDA_VISIBLE_DEVICES=0 exec vllm serve; python -m vllm.entrypoints.openai.api_server.
  void skip_command() {
    const auto assignment = [](const std::string& text) {
      const std::size_t equals = text.find('=');
      return equals != std::string::npos && equals > 0 && text[0] != '-' &&
             std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(equals),
                         [](char c) {
                           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
                         });
    };
    while (at_ < words_.size() && (assignment(word()) || word() == "exec" || word() == "env"))
      ++at_;
    if (at_ >= words_.size()) return;
    if (word() == "vllm" || word().ends_with("/vllm")) {
      ++at_;
      if (at_ < words_.size() && word() == "serve") ++at_;
    } else if (word().find("python") != std::string::npos && at_ + 2 < words_.size() &&
               words_[at_ + 1].text == "-m") {
      at_ += 3;
    }
  }

  void read_one() {
    if (word().empty() || word()[0] != '-') {
      if (out_.model.empty()) {
        out_.model = word();
      } else {
        problem(word(), "is neither a flag nor a value of one", "");
      }
      ++at_;
      return;
    }
    std::string name = word();
    std::optional<std::string> value;
    if (const std::size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    // vLLM takes both spellings.
    if (name.size() > 2 && name[1] == '-') std::replace(name.begin(), name.end(), '_', '-');
    if (name == "-tp") name = kTp;
    if (name == "-q") name = kQuantization;
    if (!given_.insert(name).second) problem(name, "is given twice", "");
    read_named(name, value);
    ++at_;
  }

  // The word behind the flag, unless it came with "=".
  std::optional<std::string> value_of(const std::string& name,
                                      const std::optional<std::string>& value) {
    if (value) return value;
    if (at_ + 1 < words_.size()) return words_[++at_].text;
    problem(name, "needs a value", "");
    return std::nullopt;
  }

  void read_named(const std::string& name, const std::optional<std::string>& value) {
    for (const Flag& flag : integer_flags()) {
      if (name != flag.name && (flag.former.empty() || name != flag.former)) continue;
      out_.engine.*flag.option = integer(name, value, 0);
      return;
    }
    for (const Harmless& flag : kHarmless) {
      if (name != flag.name) continue;
      if (flag.value) value_of(name, value);
      return;
    }
    if (std::find(std::begin(kNotModelled), std::end(kNotModelled), name) !=
        std::end(kNotModelled)) {
      problem(name, "makes another engine of it, which the twin does not model",
              "advice for it would be a guess");
      skip_value(value);
      return;
    }
    read_special(name, value);
  }

  void read_special(const std::string& name, const std::optional<std::string>& value) {
    if (name == kAsync || name == kNoAsync) {
      out_.engine.async_scheduling = name == kAsync;
    } else if (name == kModel) {
      if (const auto text = value_of(name, value)) out_.model = *text;
    } else if (name == kTp) {
      const auto tp = integer(name, value, 1);
      if (tp && *tp != 1 && *tp != 2 && *tp != 4 && *tp != 8) {
        problem(fmt::format("{}", *tp), "must be 1, 2, 4 or 8", "");
      } else if (tp) {
        out_.tp = static_cast<int>(*tp);
      }
    } else if (name == kLength) {
      out_.max_model_len = integer(name, value, 1).value_or(0);
    } else if (name == kMemory) {
      read_memory(name, value);
    } else if (name == kDtype || name == kKvDtype || name == kQuantization) {
      read_type(name, value);
    } else {
      const std::string near = wire::nearest_name(name, known_names());
      problem(name, "is no flag that is known here",
              near.empty() ? "leave it out if it changes nothing about speed or memory"
                           : fmt::format("did you mean {}?", near));
      skip_value(value);
    }
  }

  // What follows a flag that nobody knows is most likely its value: one mistake, one problem.
  void skip_value(const std::optional<std::string>& value) {
    if (!value && at_ + 1 < words_.size() && !words_[at_ + 1].text.starts_with('-')) ++at_;
  }

  void read_type(const std::string& name, const std::optional<std::string>& value) {
    const auto text = value_of(name, value);
    if (!text) return;
    if (name == kQuantization && *text == "fp8") {
      out_.dtype = "fp8";
    } else if (name == kQuantization) {
      problem(*text, "quantisation that the twin does not model; known: fp8", "");
    } else if (name == kDtype && *text != "auto" && *text != "bfloat16" && *text != "float16" &&
               *text != "half") {
      problem(*text, "must be auto, bfloat16 or float16: the twin has no other", "");
    } else if (name == kKvDtype && *text != "auto" && *text != "bfloat16") {
      problem(*text, "a KV cache in another type is not modelled", "");
    }
  }

  void read_memory(const std::string& name, const std::optional<std::string>& value) {
    const auto text = value_of(name, value);
    if (!text) return;
    double share = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), share);
    if (error != std::errc{} || end != text->data() + text->size() || !(share > 0 && share <= 1)) {
      problem(*text, fmt::format("{} must be a share between 0 and 1", name), "");
    } else {
      out_.engine.gpu_memory_utilization = share;
    }
  }

  // "8192" and vLLM's "8k" (8,000) and "8K" (8,192).
  std::optional<std::int64_t> integer(const std::string& name,
                                      const std::optional<std::string>& value, std::int64_t min) {
    const auto text = value_of(name, value);
    if (!text) return std::nullopt;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    const std::string_view rest(end, static_cast<std::size_t>(text->data() + text->size() - end));
    if (rest == "k") number *= 1000;
    if (rest == "K") number *= 1024;
    const bool whole = error == std::errc{} && (rest.empty() || rest == "k" || rest == "K");
    if (whole && number >= min && number <= 1'000'000'000) return number;
    problem(*text, fmt::format("{} must be a whole number, {} or above", name, min), "");
    return std::nullopt;
  }

  std::vector<Word> words_;
  std::size_t at_ = 0;
  std::set<std::string> given_;
  EngineFlags out_;
  wire::Diagnostics problems_;
};

// Letters and digits in lower case.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0) out += static_cast<char>(std::tolower(byte));
  }
  return out;
}

}  // namespace

const std::vector<Flag>& integer_flags() {
  static const std::vector<Flag> kFlags = {
      {"--max-num-seqs", "", &sim::EngineSpec::batch_size},
      {"--max-num-batched-tokens", "", &sim::EngineSpec::prefill_token_budget},
      {"--long-prefill-token-threshold", "", &sim::EngineSpec::long_prefill_threshold},
      {"--block-size", "", &sim::EngineSpec::block_size},
      {"--num-gpu-blocks-override", "", &sim::EngineSpec::kv_cache_blocks},
  };
  return kFlags;
}

tl::expected<EngineFlags, wire::Diagnostics> parse_vllm_flags(std::string_view text) {
  return Parser(words_of(text)).parse();
}

std::string twin_model_of(std::string_view served) {
  const std::size_t slash = served.rfind('/');
  const std::string name =
      plain(slash == std::string_view::npos ? served : served.substr(slash + 1));
  std::string best;
  for (const sim::ModelData& model : sim::known_models()) {
    const std::string known = plain(model.name);
    // "metallama318binstruct" is Llama-3.1-8B of a vendor who puts its name in front.
    if (name.find(known) != std::string::npos && known.size() > plain(best).size()) {
      best = model.name;
    }
  }
  return best;
}

}  // namespace arqon::advise
