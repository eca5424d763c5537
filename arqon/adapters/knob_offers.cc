// Which of an engine's knobs a document gets (scraped_engine.h, choose).
#include <fmt/format.h>

#include <algorithm>

#include "arqon/adapters/scraped_engine.h"
#include "arqon/wire/diagnostic.h"

namespace arqon::adapters {
namespace {

std::string names_of(const std::vector<Offer>& offers) {
  std::string out;
  for (const Offer& offer : offers) {
    if (offer.absent.empty()) out += (out.empty() ? "" : ", ") + offer.name;
  }
  return out.empty() ? "none" : out;
}

std::string without_pool(const std::string& name) { return name.substr(name.find('.') + 1); }

std::string why_unknown(std::string_view engine, const Parameter& wanted,
                        const std::vector<Offer>& offers) {
  std::vector<std::string> names;
  for (const Offer& offer : offers) names.push_back(offer.name);
  std::string near = wire::nearest_name(without_pool(wanted.name), names);
  for (const Offer& offer : offers) {
    if (offer.engine_name == without_pool(wanted.name)) near = offer.name;
  }
  return fmt::format("{} has no such knob{}; it offers: {}", engine,
                     near.empty() ? "" : fmt::format(" (did you mean \"{}\"?)", near),
                     names_of(offers));
}

std::string mistake_in(const Parameter& wanted, const Offer& offer,
                       const std::vector<Offer>& offers) {
  const Parameter& widest = offer.domain;
  if (!offer.absent.empty()) {
    return fmt::format("cannot be moved here: {}; offered: {}", offer.absent, names_of(offers));
  }
  if (widest.type == ParamType::kCategorical) {
    return wanted.type == ParamType::kCategorical && wanted.choices == widest.choices
               ? ""
               : fmt::format("its choices are {}", fmt::join(widest.choices, ", "));
  }
  const bool whole = wanted.type == ParamType::kInt || wanted.type == ParamType::kBool;
  if (widest.type == ParamType::kInt && !whole) return "its type is int";
  if (wanted.min < widest.min || wanted.max > widest.max) {
    return fmt::format(
        "bounds [{}, {}] go beyond [{}, {}], what the engine was started with allows", wanted.min,
        wanted.max, widest.min, widest.max);
  }
  if (offer.value < wanted.min || offer.value > wanted.max) {
    return fmt::format("the value in force, {}, lies outside the bounds [{}, {}]", offer.value,
                       wanted.min, wanted.max);
  }
  return "";
}

void add(Chosen& chosen, const std::vector<Offer>& offers, std::size_t index, Parameter knob) {
  const Offer& offer = offers[index];
  knob.change_class = offer.domain.change_class;
  if (knob.unit.empty()) knob.unit = offer.domain.unit;
  chosen.offers.push_back(index);
  chosen.capabilities.knobs.push_back(std::move(knob));
  chosen.capabilities.facts.push_back(offer.facts);
  chosen.capabilities.settle.push_back(offer.settle);
  chosen.capabilities.boot.push_back(offer.value);
}

}  // namespace

Result<Chosen> choose(std::string_view engine, const std::vector<Parameter>& wanted,
                      const std::vector<Offer>& offers) {
  Chosen chosen;
  std::vector<std::string> errors;
  for (const Parameter& knob : wanted) {
    const auto it = std::find_if(offers.begin(), offers.end(), [&](const Offer& offer) {
      return offer.name == without_pool(knob.name);
    });
    const std::string mistake =
        it == offers.end() ? why_unknown(engine, knob, offers) : mistake_in(knob, *it, offers);
    if (!mistake.empty()) {
      errors.push_back(fmt::format("{}: {}", knob.name, mistake));
    } else {
      add(chosen, offers, static_cast<std::size_t>(it - offers.begin()), knob);
    }
  }
  if (!errors.empty())
    return fail(ErrorCode::kInvalidConfig, fmt::to_string(fmt::join(errors, "\n")));
  for (std::size_t i = 0; wanted.empty() && i < offers.size(); ++i) {
    if (!offers[i].absent.empty()) continue;
    Parameter knob = offers[i].domain;
    knob.name = "main." + offers[i].name;
    add(chosen, offers, i, std::move(knob));
  }
  return chosen;
}

KnobReport report_of(const Offer& offer) {
  const bool there = offer.absent.empty();
  const bool choice = offer.domain.type == ParamType::kCategorical;
  const auto index = static_cast<std::size_t>(std::max(0.0, offer.value));
  std::string value = wire::shortest(offer.value);
  if (choice) value = index < offer.domain.choices.size() ? offer.domain.choices[index] : "";
  return {.name = offer.name,
          .engine_name = offer.engine_name,
          .access = there ? std::string(to_string(offer.domain.change_class)) : "absent",
          .value = std::move(value),
          .why = there ? offer.facts.note : offer.absent};
}

}  // namespace arqon::adapters
