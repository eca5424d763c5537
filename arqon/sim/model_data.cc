#include "arqon/sim/model_data.h"

#include <charconv>
#include <cmath>

#include "arqon/base/assert.h"

namespace arqon::sim {
namespace {

// The data files as the build embeds them: every cell is text, the header row is gone.
template <std::size_t N>
using Cells = std::array<std::string_view, N>;

constexpr auto kModelRows = std::to_array<Cells<12>>({
#include "arqon/sim/data/models.inc"
});
constexpr auto kGpuRows = std::to_array<Cells<4>>({
#include "arqon/sim/data/gpus.inc"
});
constexpr auto kKnotRows = std::to_array<Cells<15>>({
#include "arqon/sim/data/linear_knots.inc"
});
constexpr auto kEngineRows = std::to_array<Cells<7>>({
#include "arqon/sim/data/engines.inc"
});

constexpr std::array<double, 10> kKnotTokens = {1, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};
constexpr std::string_view kReferenceGpu = "h100-sxm-80g";

constexpr double kGib = 1073741824.0, kMicro = 1e-6, kGiga = 1e9, kTera = 1e12;

// Where each constant of the data files lives.
struct ModelField {
  std::string_view name;
  double ModelData::*member;
};
constexpr auto kModelFields = std::to_array<ModelField>({
    {"layers", &ModelData::layers},
    {"hidden", &ModelData::hidden},
    {"query_heads", &ModelData::query_heads},
    {"kv_heads", &ModelData::kv_heads},
    {"head_dim", &ModelData::head_dim},
    {"mlp_width", &ModelData::mlp_width},
    {"vocabulary", &ModelData::vocabulary},
    {"experts", &ModelData::experts},
    {"experts_active", &ModelData::experts_active},
});

struct GpuField {
  std::string_view name;
  double* (*member)(GpuData&);
  double unit;  // value in the file x unit = value of the member
};
template <double GpuData::*Member>
double* at(GpuData& gpu) {
  return &(gpu.*Member);
}
template <std::array<double, 3> GpuData::*Member, std::size_t I>
double* at_tp(GpuData& gpu) {
  return &(gpu.*Member)[I];
}
constexpr auto kGpuFields = std::to_array<GpuField>({
    {"memory_gib", &at<&GpuData::memory_bytes>, kGib},
    {"bandwidth_tb_per_s", &at<&GpuData::bandwidth>, kTera},
    {"matmul_tflops", &at<&GpuData::matmul_rate>, kTera},
    {"linear_memory", &at<&GpuData::linear_memory>, 1},
    {"linear_compute", &at<&GpuData::linear_compute>, 1},
    {"linear_power", &at<&GpuData::linear_power>, 1},
    {"linear_launch_us", &at<&GpuData::launch>, kMicro},
    {"elementwise_launch_us", &at<&GpuData::elementwise_launch>, kMicro},
    {"elementwise", &at<&GpuData::elementwise>, 1},
    {"decode_launch_us", &at<&GpuData::decode_launch>, kMicro},
    {"decode", &at<&GpuData::decode>, 1},
    {"prefill_launch_us", &at<&GpuData::prefill_launch>, kMicro},
    {"prefill", &at<&GpuData::prefill>, 1},
    {"reduce_latency_us_tp2", &at_tp<&GpuData::reduce_latency, 0>, kMicro},
    {"reduce_latency_us_tp4", &at_tp<&GpuData::reduce_latency, 1>, kMicro},
    {"reduce_latency_us_tp8", &at_tp<&GpuData::reduce_latency, 2>, kMicro},
    {"reduce_gb_per_s_tp2", &at_tp<&GpuData::reduce_bandwidth, 0>, kGiga},
    {"reduce_gb_per_s_tp4", &at_tp<&GpuData::reduce_bandwidth, 1>, kGiga},
    {"reduce_gb_per_s_tp8", &at_tp<&GpuData::reduce_bandwidth, 2>, kGiga},
    {"fp8_speedup", &at<&GpuData::fp8_speedup>, 1},
    {"fp8_launch_us", &at<&GpuData::fp8_launch>, kMicro},
});
constexpr std::size_t kGpuCounts = 2;  // batch_size, prefill_token_budget

double number(std::string_view cell) {
  double out = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), out);
  ARQON_ASSERT(error == std::errc{} && end == cell.data() + cell.size());
  return out;
}

std::vector<ModelData> read_models() {
  std::vector<ModelData> out;
  for (const auto& row : kModelRows) {
    ModelData& model = out.emplace_back();
    model.name = row[0];
    for (std::size_t i = 0; i < kModelFields.size(); ++i) {
      model.*kModelFields[i].member = number(row[1 + i]);
    }
    model.calibrated = number(row[1 + kModelFields.size()]) != 0;
  }
  return out;
}

std::vector<GpuData> read_gpus() {
  std::vector<GpuData> out;
  std::size_t read = 0;
  for (const auto& row : kGpuRows) {
    if (out.empty() || out.back().name != row[0]) out.emplace_back().name = row[0];
    GpuData& gpu = out.back();
    const double value = number(row[2]);
    for (const GpuField& field : kGpuFields) {
      if (field.name != row[1]) continue;
      *field.member(gpu) = value * field.unit;
      ++read;
    }
    if (row[1] == "batch_size") {
      gpu.batch_size = static_cast<int>(value);
      ++read;
    }
    if (row[1] == "prefill_token_budget") {
      gpu.prefill_token_budget = static_cast<int>(value);
      ++read;
    }
  }
  // Every row is a known constant, and no GPU lacks one.
  ARQON_ASSERT(read == kGpuRows.size() &&
               read == out.size() * (kGpuFields.size() + kGpuCounts));
  return out;
}

std::vector<EngineData> read_engines() {
  std::vector<EngineData> out;
  for (const auto& row : kEngineRows) {
    EngineData& engine = out.emplace_back();
    engine.name = row[0];
    engine.calibration.host_ms = number(row[1]);
    engine.calibration.host_ms_per_sequence = number(row[2]);
    engine.calibration.front_end_ms = number(row[3]);
    engine.overlap_async = number(row[4]);
    engine.overlap_sync = number(row[5]);
  }
  return out;
}

template <typename Table>
auto* find_named(const Table& table, std::string_view name) {
  for (const auto& row : table) {
    if (row.name == name) return &row;
  }
  return static_cast<decltype(&table[0])>(nullptr);
}

// Power mean of the memory-bound and the compute-bound time of each layer, plus four launches.
double closed_form_ms(const ModelData& model, const GpuData& gpu, int tp, bool fp8, double tokens,
                      const Calibration& c) {
  const double rate = gpu.matmul_rate * (fp8 ? gpu.fp8_speedup : 1);
  const double streaming = gpu.bandwidth * gpu.linear_memory * c.linear_memory;
  const double memory = (fp8 ? 1 : 2) * model.streamed_weights(tokens) / tp / streaming;
  const double compute =
      2 * model.active_weights() / tp * tokens / (rate * gpu.linear_compute * c.linear_compute);
  const double p = gpu.linear_power;
  const double launch = gpu.launch + (fp8 ? gpu.fp8_launch : 0);
  const double layer = 4 * launch + std::pow(std::pow(memory, p) + std::pow(compute, p), 1 / p);
  return 1e3 * model.layers * layer * c.linear_scale;
}

const Cells<15>* find_knots(const ModelData& model, std::string_view gpu, int tp,
                            std::string_view dtype) {
  for (const auto& row : kKnotRows) {
    if (row[0] == gpu && row[1] == model.name && number(row[2]) == tp && row[3] == dtype) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace

std::span<const ModelData> known_models() {
  static const std::vector<ModelData> models = read_models();
  return models;
}
std::span<const GpuData> known_gpus() {
  static const std::vector<GpuData> gpus = read_gpus();
  return gpus;
}
const ModelData* find_model(std::string_view name) { return find_named(known_models(), name); }
const GpuData* find_gpu(std::string_view name) { return find_named(known_gpus(), name); }
const EngineData* find_engine(std::string_view scheduler) {
  static const std::vector<EngineData> engines = read_engines();
  return find_named(engines, scheduler);
}
const ModelData* model_of(const PoolSpec& pool) {
  return pool.own_model != nullptr ? pool.own_model.get() : find_model(pool.model);
}
const GpuData* gpu_of(const PoolSpec& pool) {
  return pool.own_gpu != nullptr ? pool.own_gpu.get() : find_gpu(pool.gpu);
}

std::vector<LinearKnot> linear_knots(const ModelData& model, const GpuData& gpu, int tp,
                                     std::string_view dtype, const Calibration& calibration) {
  const bool fp8 = dtype == "fp8";
  const auto closed = [&](double n) {
    return closed_form_ms(model, gpu, tp, fp8, n, calibration);
  };
  std::vector<LinearKnot> knots;
  const GpuData* measured_on = &gpu;
  const Cells<15>* row = find_knots(model, gpu.name, tp, dtype);
  if (row == nullptr && gpu.matmul_rate == find_gpu(kReferenceGpu)->matmul_rate) {
    measured_on = find_gpu(kReferenceGpu);
    row = find_knots(model, kReferenceGpu, tp, dtype);
  }
  if (row != nullptr) {
    for (std::size_t i = 0; i < kKnotTokens.size(); ++i) {
      const double n = kKnotTokens[i];
      const double scale = closed(n) / closed_form_ms(model, *measured_on, tp, fp8, n, {});
      knots.push_back({n, number((*row)[4 + i]) * scale});
    }
    return knots;
  }
  // Four points per doubling keep the interpolation error of the power mean under 0.5 %.
  for (double octave = 1; octave <= 16384; octave *= 2) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      const double tokens = octave * (1 + 0.25 * quarter);
      knots.push_back({tokens, closed(tokens)});
    }
  }
  return knots;
}

}  // namespace arqon::sim
