// One SGLang over HTTP: its state as values, and writes with the answer understood.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arqon/adapters/scraped_engine.h"
#include "arqon/net/http.h"
#include "arqon/wire/json.h"

namespace arqon::adapters::sglang {

struct Address {
  std::string url, metrics, api_key;
  Duration timeout{};
};

// What /server_info says.
class Info {
 public:
  explicit Info(wire::Value document) : document_(std::move(document)) {}
  const wire::Value& document() const { return document_; }
  std::size_t ranks() const;
  // The value in force on a rank: what a build with live scheduler knobs reports, else the
  // scheduler's own arguments, else those of the start. Null where it is not there or null.
  const wire::Value* in_force(std::string_view key, std::size_t rank = 0) const;
  // Only from the scheduler, not from the arguments of the start.
  const wire::Value* from_scheduler(std::string_view key, std::size_t rank = 0) const;
  const wire::Value* at_start(std::string_view key) const;
  // The most the engine allows for a key, where it says so.
  const wire::Value* ceiling(std::string_view key) const;
  bool has_live_knobs() const;  // reports the knobs of the open change request #37661
  double number(std::string_view key, double fallback) const;  // at start
  serving::Identity identity() const;
  // Everything that decides what was measured here, and that no knob of ours moves.
  std::string flags() const;

 private:
  const wire::Value* state(std::size_t rank) const;
  wire::Value document_;
};

class Server {
 public:
  explicit Server(Address address) : address_(std::move(address)) {}

  Result<Info> info();
  // kRefused when the engine says no, on any rank; kUnavailable when it does not say.
  Status set(const wire::Object& server_args);
  Result<wire::Exposition> metrics();
  Result<bool> healthy();
  const Address& address() const { return address_; }

 private:
  net::Request request(std::string method, std::string_view path) const;
  Address address_;
  net::Client client_;
  bool old_name_ = false;  // /get_server_info
};

// Whether every rank said yes: a list of booleans, or objects with "updated" or "success".
Result<bool> all_updated(const wire::Value& reply);

// One of our knobs as SGLang has it, before anybody asked whether it may be written.
struct Candidate {
  Offer offer;
  std::string key;     // to write
  bool stock = false;  // accepted by builds without live scheduler knobs
};
// In the order of help texts; a knob that cannot be read has its reason in offer.absent.
std::vector<Candidate> candidates(const Info& info);
// A value of ours as the engine takes it.
wire::Value written(const Candidate& candidate, double value);

HistogramSources sources();

}  // namespace arqon::adapters::sglang
