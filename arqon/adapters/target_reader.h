// Reads the keys of a `target` object with errors that name the place and the nearest known key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arqon/base/result.h"
#include "arqon/base/time.h"
#include "arqon/wire/json.h"

namespace arqon::adapters {

// Getters remember the first errors; status() tells them all at once. One thread; `target` must
// outlive the reader. `keys`: every key this adapter knows beside "engine". For an object further
// in, `path` says where it stands ("target.knobs.batch_size"); it has no "engine".
class TargetReader {
 public:
  TargetReader(const wire::Value& target, std::vector<std::string> keys,
               std::string path = "target");

  std::string text(std::string_view key);  // required
  std::string text(std::string_view key, std::string_view fallback);
  // An http:// or https:// URL without a trailing slash.
  std::string url(std::string_view key);
  std::string url(std::string_view key, std::string_view fallback);
  double number(std::string_view key, double fallback, double min, double max);
  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t min,
                       std::int64_t max);
  bool flag(std::string_view key, bool fallback);
  // A command as a list of words, no shell; empty when absent.
  std::vector<std::string> command(std::string_view key);
  // The raw value, null when absent.
  const wire::Value* find(std::string_view key);
  // `path` below the target, e.g. "knobs[0].method"; `at` is where it stands in the text.
  void complain(const wire::Value& at, std::string_view path, std::string message);

  // kInvalidConfig with one line per error, each "target.KEY (line L, column C): ..."; the place is
  // left out where the target was built in code.
  Status status() const;

 private:
  const wire::Value& target_;
  std::string path_;
  std::vector<std::string> errors_;
};

}  // namespace arqon::adapters
