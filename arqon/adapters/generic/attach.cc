#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "arqon/adapters/generic/generic.h"
#include "arqon/adapters/generic/promql.h"
#include "arqon/adapters/generic/target.h"

namespace arqon::adapters::generic {
namespace {

// Names that PromQL's answers get, beside the engine's own series.
constexpr std::string_view kQueried = "generic:";

bool is_histogram(std::string_view key) { return key == "ttft" || key == "tpot" || key == "e2e"; }

std::string series_of(const ReadingSource& source) {
  return source.series.empty() ? std::string(kQueried) + source.key : source.series;
}

HistogramSources sources_of(const Target& target) {
  HistogramSources out;
  for (const ReadingSource& source : target.readings) {
    const std::string name = series_of(source);
    const auto put = [&](std::string_view key, std::vector<std::string>& into) {
      if (source.key == key) into.push_back(name);
    };
    put("ttft", out.ttft);
    put("tpot", out.tpot);
    put("e2e", out.e2e);
    put("failed", out.failed);
    put("prompt_tokens", out.prompt_tokens);
    put("output_tokens", out.output_tokens);
    put("started", out.started);
    put("running", out.running);
    put("waiting", out.waiting);
    put("kv_use", out.kv_use);
    out.prefixes.push_back(name);
  }
  out.bucket_help = "see how this server sets its bucket bounds";
  return out;
}

std::string text_of(const Parameter& domain, double value) {
  if (domain.type != ParamType::kCategorical) return number_text(value);
  return domain.choices[static_cast<std::size_t>(std::llround(value))];
}

std::optional<double> value_of(const Parameter& domain, const std::string& text) {
  if (domain.type == ParamType::kCategorical) {
    const auto it = std::find(domain.choices.begin(), domain.choices.end(), text);
    if (it == domain.choices.end()) return {};
    return static_cast<double>(it - domain.choices.begin());
  }
  double out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  const bool whole = error == std::errc() && end == text.data() + text.size() && std::isfinite(out);
  return whole ? std::optional(out) : std::nullopt;
}

// Everything that the document says about how to reach the server.
class CallSurface final : public Surface {
 public:
  explicit CallSurface(Target target) : target_(std::move(target)) {}

  // Only these knobs, in this order, from now on.
  void keep(const std::vector<std::size_t>& chosen) {
    std::vector<Knob> kept;
    for (const std::size_t index : chosen) kept.push_back(target_.knobs[index]);
    target_.knobs = std::move(kept);
  }
  const Target& target() const { return target_; }

  Result<Reading> read() override {
    Reading out{.identity = {.engine = target_.name, .model = target_.model}};
    if (target_.has_identity) {
      const auto text = ask(target_.identity, target_.scraped.timeout);
      if (!text) return tl::unexpected<Error>(text.error().with_context("target.identity"));
      out.flags = *text;
    }
    for (Knob& knob : target_.knobs) {
      const auto value = read_knob(knob);
      if (!value) return tl::unexpected<Error>(value.error().with_context(knob.name));
      out.values.push_back(*value);
      out.capacity.push_back(serving::kNoLimit);
    }
    return out;
  }

  Status write(const Config& from, const Config& to) override {
    for (std::size_t k = 0; k < target_.knobs.size(); ++k) {
      if (from[k] == to[k]) continue;
      Knob& knob = target_.knobs[k];
      const CallValues values{text_of(knob.domain, to[k]), text_of(knob.domain, from[k])};
      const auto written = make_call(client_, knob.write, values, knob.deadline);
      if (!written) return tl::unexpected<Error>(written.error().with_context(knob.name));
      knob.value = to[k];
    }
    return {};
  }

  void written_for_us(const Config& to) override {
    for (std::size_t k = 0; k < target_.knobs.size(); ++k) target_.knobs[k].value = to[k];
  }

  Result<wire::Exposition> scrape() override {
    std::vector<wire::Series> series;
    if (!target_.metrics.empty()) {
      auto scraped = adapters::scrape(client_, target_.metrics, target_.scraped.timeout);
      if (!scraped) return scraped;
      series = scraped->series();
    }
    for (const ReadingSource& source : target_.readings) {
      if (source.promql.empty()) continue;
      const std::string name = series_of(source) + (is_histogram(source.key) ? "_bucket" : "");
      auto samples =
          query(client_, target_.prometheus, source.promql, name, target_.scraped.timeout);
      if (!samples) return tl::unexpected<Error>(samples.error());
      series.insert(series.end(), samples->begin(), samples->end());
    }
    count_plainly(series);
    return wire::Exposition(std::move(series));
  }

  Result<bool> healthy() override {
    if (!target_.has_health) {
      const auto scraped = scrape();
      if (!scraped) return tl::unexpected<Error>(scraped.error());
      return true;
    }
    const auto answer = make_call(client_, target_.health, {}, target_.scraped.timeout);
    if (answer) return true;
    if (answer.error().code == ErrorCode::kRefused) return false;
    return tl::unexpected<Error>(answer.error());
  }

 private:
  Result<std::string> ask(const Call& call, Duration deadline) {
    const auto answer = make_call(client_, call, {}, deadline);
    if (!answer) {
      // A reading that is refused was not had.
      return fail(ErrorCode::kUnavailable, answer.error().message);
    }
    return value_in(call, *answer);
  }

  Result<double> read_knob(const Knob& knob) {
    if (!knob.read_back) return knob.value;
    const auto text = ask(knob.read, knob.deadline);
    if (!text) return tl::unexpected<Error>(text.error());
    const auto value = value_of(knob.domain, *text);
    if (value) return *value;
    return fail(ErrorCode::kUnavailable, fmt::format("read back as \"{}\", which is no value of it",
                                                     wire::shortened(*text)));
  }

  // A counter of requests is a histogram without bounds.
  void count_plainly(std::vector<wire::Series>& series) const {
    for (const ReadingSource& source : target_.readings) {
      if (source.key != "requests") continue;
      double sum = 0;
      for (const wire::Series& one : series) {
        if (one.name == series_of(source)) sum += one.value;
      }
      series.push_back(
          {.name = "generic:requests_seen_bucket", .labels = {{"le", "+Inf"}}, .value = sum});
    }
  }

  Target target_;
  net::Client client_;
};

std::vector<Offer> offers_of(const Target& target, const Reading& found) {
  std::vector<Offer> out;
  for (std::size_t k = 0; k < target.knobs.size(); ++k) {
    const Knob& knob = target.knobs[k];
    Offer offer{.name = knob.name, .engine_name = knob.name, .domain = knob.domain};
    offer.value = found.values[k];
    offer.settle = knob.settle;
    offer.facts.readback = knob.read_back;
    offer.facts.apply_cost =
        knob.domain.change_class == ChangeClass::kLive ? Duration{} : knob.deadline;
    const std::string how = knob.write.command.empty() ? knob.write.method + " " + knob.write.url
                                                       : "command " + knob.write.command[0];
    offer.facts.note = fmt::format("{}{}{}", how, knob.note.empty() ? "" : "; " + knob.note,
                                   knob.read_back ? "" : "; not read back, by the document's word");
    if (offer.value < knob.domain.min || offer.value > knob.domain.max) {
      offer.absent = fmt::format("the value in force, {}, is outside [{}, {}]", offer.value,
                                 knob.domain.min, knob.domain.max);
    }
    out.push_back(std::move(offer));
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<serving::Engine>> attach(const AttachRequest& request) {
  auto target = read_target(request.target);
  if (!target) return tl::unexpected<Error>(target.error());
  HistogramSources sources = sources_of(*target);
  const bool plain = sources.e2e.empty();
  const ScrapedOptions options = target->scraped.options;
  if (plain && request.classes.front().e2e_ms == serving::kNoLimit) {
    sources.e2e = {"generic:requests_seen"};
    sources.prefixes.emplace_back("generic:requests_seen");
  }
  auto outcomes = HistogramOutcomes::create(request.classes, sources, target->scraped.rules);
  if (!outcomes) return tl::unexpected<Error>(outcomes.error());
  auto surface = std::make_unique<CallSurface>(std::move(*target));
  const auto found = surface->read();
  if (!found) return tl::unexpected<Error>(found.error());
  const auto metrics = surface->scrape();
  if (!metrics) return tl::unexpected<Error>(metrics.error());
  if (!outcomes->update(*metrics)) return fail(ErrorCode::kUnavailable, outcomes->why());
  auto chosen = choose("this target", request.knobs, offers_of(surface->target(), *found));
  if (!chosen) return tl::unexpected<Error>(chosen.error());
  serving::Capabilities& capabilities = chosen->capabilities;
  complete(capabilities, found->identity.engine, request.classes, *outcomes, *metrics);
  surface->keep(chosen->offers);
  Reading reading = *found;
  reading.values = capabilities.boot;
  return std::make_unique<ScrapedEngine>(std::move(surface), std::move(capabilities), reading,
                                         std::move(*outcomes), options, request.clock);
}

Result<Probe> probe(std::string_view url, Clock& /*clock*/) {
  net::Client client;
  Probe out;
  const auto answer = client.get(url);
  if (!answer) {
    out.notes.push_back(answer.error().message);
    out.next.push_back("check the address; nothing answers there");
    return out;
  }
  out.reachable = true;
  out.identity.engine = "generic";
  const auto scraped = wire::parse_prometheus(answer->body);
  out.notes.push_back(
      answer->status == 200 && scraped && !scraped->series().empty()
          ? fmt::format("Prometheus text with {} series: fit for target.metrics",
                        scraped->series().size())
          : fmt::format("answers with HTTP status {}, no Prometheus text", answer->status));
  out.notes.push_back("knobs of a generic engine are those that the document names");
  out.next.push_back("write target.knobs and target.readings as docs/howto/generic.md shows");
  return out;
}

}  // namespace arqon::adapters::generic
