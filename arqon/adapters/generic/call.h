// One command or HTTP call out of a document, and what is taken from its answer.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arqon/adapters/placeholders.h"
#include "arqon/adapters/target_reader.h"
#include "arqon/net/http.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::generic {

// {"command": [WORD, ...]} or {"method": "POST", "url": URL, "headers": {...}, "body": TEXT}, and
// for a reading how to find the value: "pointer": "/a/0/b" (RFC 6901, the answer is JSON),
// "series": NAME with "labels": {...} (the answer is Prometheus text); neither: the answer is the
// value.
struct Call {
  std::vector<std::string> command;  // empty: HTTP
  std::string method, url, body;
  std::vector<net::Header> headers;
  std::string pointer, series;
  bool has_pointer = false;
  std::vector<std::pair<std::string, std::string>> labels;

  bool has_place_for(std::string_view name) const;
};

// Complains with the place. `path` is where `value` stands.
Call read_call(const wire::Value& value, const std::string& path, bool for_reading,
               std::vector<std::string>& errors);

// Values as they are put into the three kinds of text.
struct CallValues {
  std::string value, former;
};

// Makes the call. A command that ends with anything but 0 and an HTTP status of 4xx are kRefused;
// no answer within `deadline` and every other status but 2xx are kUnavailable.
Result<std::string> make_call(net::Client& client, const Call& call, const CallValues& values,
                              Duration deadline);
// The value in the answer: a number as text, or a word. kUnavailable when it is not there.
Result<std::string> value_in(const Call& call, const std::string& answer);

// What a JSON pointer points at; null when nothing is there.
const wire::Value* at_pointer(const wire::Value& document, std::string_view pointer);
// Bytes that a URL's query cannot hold as %XX.
std::string percent_encoded(std::string_view text);

}  // namespace arqon::adapters::generic
