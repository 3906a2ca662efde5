// A model that a batch is shown to for its opinion: vectors for the losses that imitate vectors,
// scores for those that imitate scores. It does not learn. Internal to train/, but for
// TeacherModel.
//
// Shapes: B rows, M negatives of each row, Et the teacher's dims.
#pragma once

#include <ATen/ATen.h>

#include <memory>

#include "core/encoder.h"
#include "data/loader.h"
#include "loss/loss.h"

namespace akin::train {

// With how it reads either side. No encoder: there is no teacher.
struct TeacherModel {
  std::shared_ptr<Encoder> encoder;
  EncodeOptions query, document;
  double temperature = 0.05;  // its scores are cosines over this
};

struct TeacherAnswer {
  at::Tensor queries, documents;  // [B, Et]; documents: undefined where the batch has none
  at::Tensor scores;              // [B, 1 + M]
};

// What `needs` asks a teacher for and the batch does not have; undefined tensors for the rest.
// Reads batch.records, whose texts are in the batch's order. Errors: those of the encoder.
TeacherAnswer ask_teacher(const TeacherModel& teacher, const data::TrainBatch& batch,
                          const loss::LossNeeds& needs, const at::Device& device);

}  // namespace akin::train
