// A model that learns: parameters as torch tensors under canonical names, token ids in, one vector
// per text out, with a graph. On the CPU the transformer is one autograd function over cpu_stack.h;
// on other devices, and as the reference that it is tested against, torch operations
// (torch_stack.h). Opens and writes sentence-transformers folders. No loss, no optimizer, no loop.
//
// Shapes: B texts, T tokens in all, D hidden, E embedding dim.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/token_batch.h"
#include "model/model.h"
#include "nn/cpu_stack.h"

namespace akin::nn {

struct Parameter {
  std::string name;   // canonical, model/model.h
  at::Tensor value;   // f32 leaf, contiguous, on the model's device
  bool decay = true;  // false for biases and norms: no weight decay
  // Gradients come as sparse rows (token tables, on the CPU): distinct and ascending after one
  // backward pass, one list after the other after several. torch drops the flag that says so.
  bool sparse_rows = false;
  bool trained = true;  // false: frozen, requires_grad is off
};

// automatic: kernels on the CPU, where they run the architecture (a fallback is counted).
enum class StackKind : uint8_t { automatic, kernels, torch };

// LoRA adapters to train, over a base that is frozen. Tasks that the model has go on from where
// they are, others are new; the model's other tasks stay as they are.
struct AdapterOptions {
  std::vector<std::string> names;  // tasks; empty: no adapter is trained
  int64_t rank = 8;
  double alpha = 8;     // scaling = alpha / rank
  bool rslora = false;  // scaling = alpha / sqrt(rank)
  double dropout = 0;   // of what A reads
  // attention, ffn, embedding, or single linears: q, k, v, out, up, gate, down.
  std::vector<std::string> targets = {"attention", "embedding"};
  uint64_t seed = 1;
};

struct TextModelOptions {
  std::string device = "cpu";  // "cpu", "cuda", "cuda:1"
  StackKind stack = StackKind::automatic;
  StackOptions numbers;             // precision, dropout, recompute
  size_t threads = 0;               // 0: all that this process may use
  size_t max_tokens = 0;            // longest text read, in place of the folder's; 0: the folder's
  std::vector<std::string> frozen;  // prefixes of names that are not trained: "embed.", "layer.0."
  AdapterOptions adapters;
};

// A model that does not exist yet.
struct ScratchSpec {
  std::string family = "bert";  // "bert" or "static_embedding"
  int64_t layers = 4, hidden = 312, heads = 12, ffn_hidden = 1200, max_positions = 512;
  std::filesystem::path tokenizer;  // folder or tokenizer.json; gives vocab_size
  PoolingSpec pooling{{PoolingMode::mean}, true};
  bool normalize = true;  // the folder ends in a Normalize module
  size_t max_tokens = 512;
  double init_std = 0.02;  // normal; norms 1 and 0, biases 0
  uint64_t seed = 1;
  // A static model: the rows of tokens that both tokenizers know (as many dims as fit, scaled to
  // a deviation of init_std) start the token table; the rest is random. Empty: none.
  std::filesystem::path embeddings_from;
};

struct EmbedOptions {
  bool train = false;         // dropout on, graph on
  uint64_t dropout_seed = 0;  // of this step; used when train
  uint64_t first_text = 0;    // number of the first text in its whole batch (GradCache chunks)
};

// What is written beside the weights.
struct SaveOptions {
  std::vector<size_t> matryoshka_dims;
  std::map<std::string, std::string> prompts;  // empty: the model's own
  std::string default_prompt_name;
  std::optional<size_t> max_tokens;
  std::string card;          // README.md; empty: none
  DType dtype = DType::f32;  // of the weights: f32, f16 or bf16; frozen ones stay as they were
  std::string merged_task;   // this adapter goes into the weights, and no adapter is written
};

class TextModel {
 public:
  // Errors: those of model::load_model; unsupported (int8 checkpoints, a family this stack lacks);
  // device (no such device, no bf16); usage (max_tokens beyond the model's positions).
  static std::unique_ptr<TextModel> open(const std::filesystem::path& folder,
                                         const TextModelOptions& options,
                                         const model::LoadOptions& load = {});
  static std::unique_ptr<TextModel> from_scratch(const ScratchSpec& spec,
                                                 const TextModelOptions& options);
  virtual ~TextModel() = default;

  virtual const model::Model& description()
      const = 0;  // tokenizer, pooling, heads, prompts, limits
  virtual std::vector<Parameter>& parameters() = 0;
  virtual const at::Device& device() const = 0;
  // After parameters changed: the next embed() packs them again.
  virtual void parameters_changed() = 0;

  // [B, E]: pooled and through the Dense heads, before any Normalize. One thread at a time.
  virtual at::Tensor embed(const TokenBatch& batch, const EmbedOptions& options) = 0;
  // [T, D]: the last layer's vectors. Errors: unsupported for static models.
  virtual at::Tensor token_states(const TokenBatch& batch, const EmbedOptions& options) = 0;

  // Writes a complete sentence-transformers folder: to a temporary folder beside it, renamed when
  // complete; an existing akin folder there is replaced. `values`: other values for the parameters
  // (averaged weights), in the order of parameters(); empty: the parameters.
  virtual void save(const std::filesystem::path& folder, const SaveOptions& options,
                    const std::vector<at::Tensor>& values = {}) const = 0;
};

// of_weights: of their values now, for a model that learns; of_folder: of the folder it was opened
// from, the same as the engine's, for one that does not.
enum class Fingerprint : uint8_t { of_weights, of_folder };

// core::Encoder over a TextModel: for evaluation while training, and for --device cuda. Shares the
// model: not while a step runs; make a new one after weights changed. token_budget: tokens of a
// batch.
std::unique_ptr<Encoder> make_torch_encoder(std::shared_ptr<TextModel> model, size_t token_budget,
                                            Fingerprint fingerprint = Fingerprint::of_weights);

}  // namespace akin::nn
