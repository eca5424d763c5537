#include "arqon/sim/model_data.h"

#include <cmath>

namespace arqon::sim {
namespace {

constexpr std::array<ModelData, 3> kModels = {{
    {"llama-3.1-8b", 32, 4096, 32, 8, 128, 14336, 128256},
    {"llama-3.1-70b", 80, 8192, 64, 8, 128, 28672, 128256},
    {"qwen3-32b", 64, 5120, 64, 8, 128, 25600, 151936},
}};

constexpr double kGib = 1073741824.0;

constexpr std::array<GpuData, 2> kGpus = {{
    {.name = "a100-sxm-80g",
     .memory_bytes = 80 * kGib,
     .bandwidth = 2.039e12,
     .matmul_rate = 312e12,
     .linear_memory = 0.825,
     .linear_compute = 0.728,
     .linear_power = 1.42,
     .launch = 5.9e-6,
     .elementwise_launch = 8e-6,
     .elementwise = 0.62,
     .decode_launch = 17e-6,
     .decode = 0.70,
     .prefill_launch = 11e-6,
     .prefill = 0.60,
     .reduce_latency = {4.9e-6, 5.2e-6, 5.8e-6},
     .reduce_bandwidth = {180e9, 134e9, 116e9},
     .fp8_speedup = 1,
     .fp8_launch = 0,
     .batch_size = 256,
     .prefill_token_budget = 2048},
    {.name = "h100-sxm-80g",
     .memory_bytes = 80 * kGib,
     .bandwidth = 3.35e12,
     .matmul_rate = 989e12,
     .linear_memory = 0.948,
     .linear_compute = 0.731,
     .linear_power = 1.28,
     .launch = 5.2e-6,
     .elementwise_launch = 7e-6,
     .elementwise = 0.69,
     .decode_launch = 11e-6,
     .decode = 0.85,
     .prefill_launch = 12.5e-6,
     .prefill = 0.66,
     .reduce_latency = {4.3e-6, 4.6e-6, 4.8e-6},
     .reduce_bandwidth = {280e9, 215e9, 230e9},
     .fp8_speedup = 1.2,
     .fp8_launch = 4.5e-6,
     .batch_size = 1024,
     .prefill_token_budget = 8192},
}};

constexpr std::array<double, 10> kKnotTokens = {1, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192};

// Measured totals in ms. A100 and H100 70B bf16: Vidur linear tables (70B through Llama-2-70B
// shapes, H100 at 8192 tokens extrapolated). H100 8B and fp8: AIConfigurator, vLLM 0.24.
struct MeasuredLinear {
  std::string_view gpu, model;
  int tp;
  std::string_view dtype;
  std::array<double, kKnotTokens.size()> ms;
};
constexpr std::string_view kA100 = "a100-sxm-80g", kH100 = "h100-sxm-80g";
constexpr std::string_view k8b = "llama-3.1-8b", k70b = "llama-3.1-70b";
constexpr std::array<MeasuredLinear, 12> kMeasured = {{
    {kA100, k8b, 1, "bf16", {8.83, 10.1, 10.4, 12.1, 17.7, 31.8, 69.6, 130, 250, 498}},
    {kA100, k8b, 2, "bf16", {5.09, 5.39, 5.39, 6.90, 10.4, 16.5, 33.2, 63.8, 128, 262}},
    {kA100, k70b, 4, "bf16", {22.8, 24.2, 24.7, 31.0, 47.0, 83.7, 172, 312, 594, 1180}},
    {kA100, k70b, 8, "bf16", {12.3, 13.0, 13.6, 16.6, 27.0, 47.0, 82.9, 162, 309, 604}},
    {kH100, k8b, 1, "bf16", {5.01, 5.73, 5.89, 5.89, 6.44, 9.31, 17.9, 36.0, 71.3, 154}},
    {kH100, k8b, 2, "bf16", {2.79, 3.04, 3.04, 3.04, 3.55, 4.70, 9.00, 17.6, 36.7, 77.0}},
    {kH100, k8b, 1, "fp8", {3.25, 3.52, 3.52, 3.73, 5.04, 7.57, 12.8, 25.9, 52.0, 99.1}},
    {kH100, k70b, 2, "bf16", {23.5, 24.6, 24.8, 26.1, 31.7, 57.0, 106, 205, 397, 793}},
    {kH100, k70b, 4, "bf16", {12.7, 13.6, 13.6, 14.3, 17.2, 26.4, 55.0, 97.2, 190, 379}},
    {kH100, k70b, 8, "bf16", {7.00, 7.76, 7.76, 8.80, 11.3, 14.6, 26.6, 49.5, 94.7, 189}},
    {kH100, k70b, 2, "fp8", {14.0, 14.5, 14.5, 15.4, 20.2, 34.3, 58.8, 117, 237, 408}},
    {kH100, k70b, 4, "fp8", {8.48, 8.49, 8.49, 9.28, 12.1, 19.0, 32.1, 63.5, 126, 218}},
}};

template <typename Table>
auto* find_named(const Table& table, std::string_view name) {
  for (const auto& row : table) {
    if (row.name == name) return &row;
  }
  return static_cast<decltype(&table[0])>(nullptr);
}

// Power-mean of the memory-bound and the compute-bound time of each layer, plus four launches.
double closed_form_ms(const ModelData& model, const GpuData& gpu, int tp, bool fp8, double tokens,
                      const Calibration& c) {
  const double weights = model.layer_weights() / tp;
  const double rate = gpu.matmul_rate * (fp8 ? gpu.fp8_speedup : 1);
  const double streaming = gpu.bandwidth * gpu.linear_memory * c.linear_memory;
  const double memory = (fp8 ? 1 : 2) * weights / streaming;
  const double compute = 2 * weights * tokens / (rate * gpu.linear_compute * c.linear_compute);
  const double p = gpu.linear_power;
  const double launch = gpu.launch + (fp8 ? gpu.fp8_launch : 0);
  const double layer = 4 * launch + std::pow(std::pow(memory, p) + std::pow(compute, p), 1 / p);
  return 1e3 * model.layers * layer * c.linear_scale;
}

}  // namespace

std::span<const ModelData> known_models() { return kModels; }
std::span<const GpuData> known_gpus() { return kGpus; }
const ModelData* find_model(std::string_view name) { return find_named(kModels, name); }
const GpuData* find_gpu(std::string_view name) { return find_named(kGpus, name); }

const ModelData* model_of(const PoolSpec& pool) {
  return pool.own_model != nullptr ? pool.own_model.get() : find_model(pool.model);
}
const GpuData* gpu_of(const PoolSpec& pool) {
  return pool.own_gpu != nullptr ? pool.own_gpu.get() : find_gpu(pool.gpu);
}

std::vector<LinearKnot> linear_knots(const ModelData& model, const GpuData& gpu, int tp,
                                     std::string_view dtype, const Calibration& calibration) {
  const bool fp8 = dtype == "fp8";
  std::vector<LinearKnot> knots;
  for (const MeasuredLinear& row : kMeasured) {
    if (row.gpu != gpu.name || row.model != model.name || row.tp != tp || row.dtype != dtype) {
      continue;
    }
    for (std::size_t i = 0; i < kKnotTokens.size(); ++i) {
      const double n = kKnotTokens[i];
      const double scale = closed_form_ms(model, gpu, tp, fp8, n, calibration) /
                           closed_form_ms(model, gpu, tp, fp8, n, {});
      knots.push_back({n, row.ms[i] * scale});
    }
    return knots;
  }
  // Four points per doubling keep the interpolation error of the power mean under 0.5 %.
  for (double octave = 1; octave <= 16384; octave *= 2) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      const double tokens = octave * (1 + 0.25 * quarter);
      const double ms = closed_form_ms(model, gpu, tp, fp8, tokens, calibration);
      knots.push_back({tokens, ms});
    }
  }
  return knots;
}

}  // namespace arqon::sim
