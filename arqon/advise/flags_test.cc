#include "arqon/advise/flags.h"

#include <gtest/gtest.h>

namespace arqon::advise {
namespace {

wire::Diagnostic only_problem(std::string_view text) {
  const auto read = parse_vllm_flags(text);
  EXPECT_FALSE(read) << text;
  if (read) return {};
  EXPECT_EQ(read.error().size(), 1u) << text;
  return read.error().front();
}

TEST(VllmFlags, a_command_line_becomes_the_engine_it_starts) {
  const auto flags = parse_vllm_flags(
      "CUDA_VISIBLE_DEVICES=0,1 vllm serve 'meta-llama/Llama-3.1-70B-Instruct' --port 8000 \\\n"
      "  --tensor-parallel-size=2 --max_num_seqs 64 --max-num-batched-tokens 8k \\\n"
      "  --long-prefill-token-threshold 1K --gpu-memory-utilization 0.85 --quantization fp8 \\\n"
      "  --no-async-scheduling --max-model-len 4096");
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->model, "meta-llama/Llama-3.1-70B-Instruct");
  EXPECT_EQ(flags->tp, 2);
  EXPECT_EQ(flags->dtype, "fp8");
  EXPECT_EQ(flags->engine.batch_size, 64);
  EXPECT_EQ(flags->engine.prefill_token_budget, 8000);
  EXPECT_EQ(flags->engine.long_prefill_threshold, 1024);
  EXPECT_EQ(flags->engine.gpu_memory_utilization, 0.85);
  EXPECT_FALSE(flags->engine.async_scheduling);
  EXPECT_EQ(flags->max_model_len, 4096);
}

TEST(VllmFlags, the_module_form_and_defaults_are_understood) {
  const auto flags =
      parse_vllm_flags("python3 -m vllm.entrypoints.openai.api_server --model org/m --seed 1");
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->model, "org/m");
  EXPECT_FALSE(flags->engine.batch_size);
  EXPECT_TRUE(flags->engine.async_scheduling);
}

TEST(VllmFlags, what_is_not_understood_is_refused_by_name) {
  EXPECT_EQ(only_problem("vllm serve m --max-num-seq 4 ").hint, "did you mean --max-num-seqs?");
  EXPECT_EQ(only_problem("vllm serve m --max-num-seqs many").value, "many");
  EXPECT_EQ(only_problem("vllm serve m --max-num-seqs 1.5").value, "1.5");
  EXPECT_EQ(only_problem("vllm serve m --max-num-seqs").message, "needs a value");
  EXPECT_EQ(only_problem("vllm serve m --port 1 --port 2").message, "is given twice");
  EXPECT_EQ(only_problem("vllm serve m -tp 3").value, "3");
  EXPECT_EQ(only_problem("vllm serve m --gpu-memory-utilization 1.2").value, "1.2");
  EXPECT_EQ(only_problem("vllm serve m --quantization awq").value, "awq");
  EXPECT_EQ(only_problem("vllm serve m x").value, "x");
  EXPECT_EQ(only_problem("vllm serve --port 1").message, "no model is named: vllm serve MODEL");
  for (const char* other : {"--pipeline-parallel-size=2", "--enable-lora", "-dp=2"}) {
    const std::string message = only_problem(std::string("vllm serve m ") + other).message;
    EXPECT_NE(message.find("does not model"), std::string::npos) << other;
  }
  EXPECT_EQ(only_problem("vllm serve m\n--port 1\n--nonsense 1").line, 3);
}

TEST(VllmFlags, served_names_find_the_twins_model) {
  EXPECT_EQ(twin_model_of("meta-llama/Llama-3.1-8B-Instruct"), "llama-3.1-8b");
  EXPECT_EQ(twin_model_of("Qwen/Qwen3-32B"), "qwen3-32b");
  EXPECT_EQ(twin_model_of("/models/mistral-7b"), "");
}

}  // namespace
}  // namespace arqon::advise
