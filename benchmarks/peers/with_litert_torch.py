"""litert-torch's PT2E way: torchao prepares the captured network by litert-torch's quantizer, litert-torch converts it.

Batch norm is folded before, so that "qat" trains the weights that ship, as edgekd does: with torchao 0.18 the
quantizer's own batch norm patterns can't be built (torch.export refuses their functions), and mended by hand they gave
fewer identical outputs.
"""

import litert_torch
import torch
from litert_torch.quantize.pt2e_quantizer import PT2EQuantizer, get_symmetric_quantization_config
from litert_torch.quantize.quant_config import QuantConfig
from torchao.quantization.pt2e import allow_exported_model_train_eval, disable_observer
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e, prepare_qat_pt2e

from benchmarks.peers.folding import fold
from benchmarks.peers.job import Conversion, Job, in_torch
from benchmarks.peers.training import train


def convert(job: Job) -> Conversion:
    """Prepare, calibrate or train, convert. Images go in with channels last, so that no transpose is written."""
    qat, x, model = job.mode == "qat", torch.from_numpy(job.calibration), fold(job.student())
    quantizer = PT2EQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True, is_qat=qat))
    with job.clock.converting():
        quantizer.STATIC_QAT_ONLY_OPS = []  # those patterns
        # Strict, so that its quantizer finds additions and pools by the functions that the source calls.
        batch = torch.export.Dim("batch", min=1)
        captured = torch.export.export(model, (x[:2],), dynamic_shapes=({0: batch},), strict=True).module()
        prepared = (prepare_qat_pt2e if qat else prepare_pt2e)(captured, quantizer)
        with torch.no_grad():
            for part in x.split(64):
                prepared(part)
    simulate = None
    if qat:
        allow_exported_model_train_eval(prepared)
        train(job, prepared, lambda prepared: prepared.apply(disable_observer))
        prepared.eval()
        simulate = in_torch(prepared)
    file, example = job.out / "model.tflite", job.example
    with job.clock.converting():
        model = converted = convert_pt2e(prepared, fold_quantize=False)
        if x.ndim == 4:
            model, example = litert_torch.to_channel_last_io(model, args=[0]), example.permute(0, 2, 3, 1)
        litert_torch.convert(model, (example,), quant_config=QuantConfig(pt2e_quantizer=quantizer)).export(str(file))
    if simulate is None:
        return Conversion(file, in_torch(converted), "simulated by convert_pt2e's network")
    return Conversion(file, simulate, "simulated by the network that was trained")
