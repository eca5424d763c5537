#include <fmt/format.h>

#include <cmath>

#include "arqon/adapters/haproxy/front.h"

namespace arqon::adapters::haproxy {
namespace {

constexpr std::string_view kLogHelp = R"(must be {"udp": PORT} or {"unix": "PATH"})";
constexpr std::string_view kPriceHelp =
    R"(must be dollars per second, or an object of "per_second", "per_request", "per_million_tokens")";

void read_log(TargetReader& reader, Options& options) {
  const wire::Value* log = reader.find("log");
  if (log == nullptr) return;
  const wire::Object* object = log->as_object();
  if (object == nullptr || object->size() != 1) {
    return reader.complain(*log, "log", std::string(kLogHelp));
  }
  const auto& [key, value] = object->front();
  const std::string* path = value.as_string();
  const std::int64_t* port = value.as_int();
  if (key == "unix" && path != nullptr && !path->empty()) {
    options.log = std::filesystem::path(*path);
  } else if (key == "udp" && port != nullptr && *port >= 0 && *port <= 65535) {
    options.log = static_cast<std::uint16_t>(*port);
  } else {
    reader.complain(value, "log", std::string(kLogHelp));
  }
}

bool is_price(const wire::Value& value) {
  return value.is_number() && std::isfinite(value.number()) && value.number() >= 0;
}

std::optional<Price> price_of(const wire::Value& value) {
  Price price;
  if (is_price(value)) {
    price.per_second = value.number();
    return price;
  }
  const wire::Object* object = value.as_object();
  if (object == nullptr || object->empty()) return std::nullopt;
  for (const auto& [key, amount] : *object) {
    if (!is_price(amount)) return std::nullopt;
    if (key == "per_second") {
      price.per_second = amount.number();
    } else if (key == "per_request") {
      price.per_request = amount.number();
    } else if (key == "per_million_tokens") {
      price.per_token = amount.number() * 1e-6;
    } else {
      return std::nullopt;
    }
  }
  return price;
}

void read_prices(TargetReader& reader, Options& options) {
  const wire::Value* prices = reader.find("prices");
  if (prices == nullptr) return;
  const wire::Object* object = prices->as_object();
  if (object == nullptr) return reader.complain(*prices, "prices", "must be an object by server");
  for (const auto& [server, value] : *object) {
    const auto price = price_of(value);
    if (!price) {
      reader.complain(value, "prices." + server, std::string(kPriceHelp));
    } else {
      options.prices.emplace_back(server, *price);
    }
  }
}

void read_classes(TargetReader& reader, Options& options) {
  if (const wire::Value* by = reader.find("class_by"); by != nullptr) {
    const std::string* word = by->as_string();
    if (word != nullptr && *word == "frontend") {
      options.class_by = ClassBy::kFrontend;
    } else if (word != nullptr && *word == "header") {
      options.class_by = ClassBy::kHeader;
    } else {
      reader.complain(*by, "class_by", R"(must be "frontend" or "header")");
    }
  }
  const wire::Value* names = reader.find("class_names");
  if (names == nullptr) return;
  const wire::Object* object = names->as_object();
  if (object == nullptr) {
    return reader.complain(*names, "class_names", "must be an object: text in the log -> class");
  }
  for (const auto& [text, value] : *object) {
    if (const std::string* name = value.as_string(); name != nullptr) {
      options.class_names.emplace_back(text, *name);
    } else {
      reader.complain(value, "class_names." + text, "must be the name of a class");
    }
  }
}

}  // namespace

std::vector<std::string> option_keys() {
  return {"socket",      "backend",   "log",    "prices", "class_by",
          "class_names", "timeout_s", "stall_s"};
}

Options read_options(TargetReader& reader) {
  Options options;
  options.socket = reader.text("socket");
  options.backend = reader.text("backend");
  options.timeout = from_seconds(reader.number("timeout_s", 1, 0.01, 60));
  options.stall = from_seconds(reader.number("stall_s", 60, 0.1, 3600));
  read_log(reader, options);
  read_prices(reader, options);
  read_classes(reader, options);
  return options;
}

}  // namespace arqon::adapters::haproxy
