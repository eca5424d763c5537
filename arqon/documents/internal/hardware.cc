#include "arqon/documents/internal/hardware.h"

#include <cmath>
#include <memory>

#include "arqon/documents/internal/keys.h"
#include "arqon/documents/internal/scenario_parts.h"
#include "arqon/sim/model_data.h"

namespace arqon::documents::internal {
namespace {

// A description and the name that it is called by, kept together.
template <typename Data>
struct Owned {
  std::string name;
  Data data;
};
template <typename Data>
std::shared_ptr<const Data> owned(const std::string& name, const Data& data) {
  auto out = std::make_shared<Owned<Data>>(Owned<Data>{name, data});
  out->data.name = out->name;
  return {out, &out->data};
}

struct ModelMember {
  string_view name;
  double sim::ModelData::*value;
  Range range;
};
constexpr Range kWidth{.min = 1, .max = 1e7};
constexpr Range kHeads{.min = 1, .max = 4096};
constexpr std::array<ModelMember, 7> kModelMembers = {{
    {"layers", &sim::ModelData::layers, {.min = 1, .max = 10000}},
    {"hidden", &sim::ModelData::hidden, kWidth},
    {"query_heads", &sim::ModelData::query_heads, kHeads},
    {"kv_heads", &sim::ModelData::kv_heads, kHeads},
    {"head_dim", &sim::ModelData::head_dim, kHeads},
    {"mlp_width", &sim::ModelData::mlp_width, kWidth},
    {"vocabulary", &sim::ModelData::vocabulary, {.min = 2, .max = 1e8}},
}};

// Rates of the data sheet; `unit` is what one of the document is in the twin's units.
struct GpuMember {
  string_view name;
  double sim::GpuData::*value;
  double unit;
  Range range;
};
constexpr Range kRate{.min = 1e-3, .max = 1e9};
constexpr std::array<GpuMember, 3> kGpuMembers = {{
    {"memory_gb", &sim::GpuData::memory_bytes, 1e9, {.min = 1e-3, .max = 1e5}},
    {"bandwidth_gb_per_s", &sim::GpuData::bandwidth, 1e9, kRate},
    {"matmul_tflops", &sim::GpuData::matmul_rate, 1e12, {.min = 1e-6, .max = 1e6}},
}};

// What the efficiencies of unknown hardware are taken from until somebody calibrates.
constexpr string_view kLike = "a100-sxm-80g";

}  // namespace

void read_model(const Node& node, sim::PoolSpec& pool) {
  if (!node) return;
  if (node.value().as_object() == nullptr) {
    std::vector<string_view> names;
    for (const auto& row : sim::known_models()) names.push_back(row.name);
    if (const auto index = node.one_of(names)) pool.model = names[*index];
    return;
  }
  const Section section(node, kOwnModelKeys);
  const Node name = section.need("name");
  assign(pool.model, name.text());
  if (sim::find_model(pool.model) != nullptr) name.fail("is a known model: name yours otherwise");
  sim::ModelData data{};
  for (const ModelMember& member : kModelMembers) {
    assign(data.*member.value, section.need(member.name).integer(member.range));
  }
  const Node experts = section.get("experts");
  assign(data.experts, experts.integer({.min = 0, .max = 4096}));
  assign(data.experts_active, section.get("experts_active").integer({.min = 0, .max = 4096}));
  if ((data.experts > 0) != (data.experts_active > 0) || data.experts_active > data.experts) {
    experts.fail("goes with experts_active, from 1 to as many as there are experts");
  }
  if (data.kv_heads > 0 && std::fmod(data.query_heads, data.kv_heads) != 0) {
    section.get("kv_heads").fail("must divide query_heads");
  }
  pool.own_model = owned(pool.model, data);
}

void read_gpu(const Node& node, sim::PoolSpec& pool) {
  if (!node) return;
  std::vector<string_view> names;
  for (const auto& row : sim::known_gpus()) names.push_back(row.name);
  if (node.value().as_object() == nullptr) {
    if (const auto index = node.one_of(names)) pool.gpu = names[*index];
    return;
  }
  const Section section(node, kOwnGpuKeys);
  const Node name = section.need("name");
  assign(pool.gpu, name.text());
  if (sim::find_gpu(pool.gpu) != nullptr) name.fail("is a known gpu: name yours otherwise");
  sim::GpuData data = *sim::find_gpu(kLike);
  if (const auto index = section.get("like").one_of(names)) data = sim::known_gpus()[*index];
  for (const GpuMember& member : kGpuMembers) {
    if (const auto value = section.need(member.name).number(member.range)) {
      data.*member.value = *value * member.unit;
    }
  }
  assign(data.batch_size, section.get("batch_size").integer({.min = 1, .max = 65536}));
  assign(data.prefill_token_budget,
         section.get("prefill_token_budget").integer({.min = 1, .max = 1048576}));
  pool.own_gpu = owned(pool.gpu, data);
  pool.own_gpu_like = section.has("like") ? *section.get("like").value().as_string() : "";
}

wire::Value model_value(const sim::PoolSpec& pool) {
  if (pool.own_model == nullptr) return pool.model;
  wire::Object out{{"name", pool.model}};
  for (const ModelMember& member : kModelMembers) {
    out.emplace_back(member.name, wire::compact_number((*pool.own_model).*member.value));
  }
  if (pool.own_model->experts > 0) {
    out.emplace_back("experts", wire::compact_number(pool.own_model->experts));
    out.emplace_back("experts_active", wire::compact_number(pool.own_model->experts_active));
  }
  return out;
}

wire::Value gpu_value(const sim::PoolSpec& pool) {
  if (pool.own_gpu == nullptr) return pool.gpu;
  wire::Object out{{"name", pool.gpu}};
  if (!pool.own_gpu_like.empty()) out.emplace_back("like", pool.own_gpu_like);
  for (const GpuMember& member : kGpuMembers) {
    out.emplace_back(member.name,
                     wire::compact_number((*pool.own_gpu).*member.value / member.unit));
  }
  out.emplace_back("batch_size", pool.own_gpu->batch_size);
  out.emplace_back("prefill_token_budget", pool.own_gpu->prefill_token_budget);
  return out;
}

}  // namespace arqon::documents::internal
