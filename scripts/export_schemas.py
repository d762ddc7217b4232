"""Write haet_eval/remote/operators/schemas.txt: the schemas and tags of the allowed operators.

Usage: python scripts/export_schemas.py [--check]

The families below are kept by hand; everything else comes from the installed PyTorch. A name without an
overload is its `default`. Each family has validators, or kernels that check their arguments themselves.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

SCHEMAS = Path(__file__).parent.parent / "haet_eval/remote/operators/schemas.txt"

UNARY = """
    abs acos acosh angle asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma erf erfc erfinv
    exp exp2 expm1 floor frac i0 isinf isnan isneginf isposinf lgamma log log10 log1p log2 logical_not
    neg rad2deg reciprocal round round.decimals rsqrt sgn sigmoid sign signbit silu sin sinc sinh sqrt
    tan tanh trunc nan_to_num relu mish hardsigmoid hardswish hardtanh leaky_relu elu celu gelu
    threshold logit mvlgamma special_entr special_erfcx special_i0e special_i1 special_i1e
    special_log_ndtr special_ndtri polygamma hardshrink softshrink softplus log_sigmoid_forward
    _prelu_kernel glu _conj _neg_view _conj_physical fill.Scalar fill.Tensor
"""

BINARY = """
    add.Tensor add.Scalar sub.Tensor sub.Scalar mul.Tensor mul.Scalar div.Tensor div.Scalar
    div.Tensor_mode div.Scalar_mode rsub.Tensor rsub.Scalar pow.Tensor_Scalar pow.Tensor_Tensor
    pow.Scalar atan2 copysign.Tensor copysign.Scalar floor_divide floor_divide.Scalar fmax fmin
    fmod.Tensor fmod.Scalar remainder.Tensor remainder.Scalar remainder.Scalar_Tensor maximum minimum
    hypot gcd lcm ldexp.Tensor nextafter logaddexp logaddexp2 xlogy.Tensor xlogy.Scalar_Self
    xlogy.Scalar_Other heaviside igamma igammac special_xlog1py special_zeta bitwise_and.Tensor
    bitwise_and.Scalar bitwise_or.Tensor bitwise_or.Scalar bitwise_xor.Tensor bitwise_xor.Scalar
    bitwise_left_shift.Tensor bitwise_right_shift.Tensor bitwise_left_shift.Tensor_Scalar
    bitwise_right_shift.Tensor_Scalar logical_and logical_or logical_xor eq.Tensor eq.Scalar ne.Tensor
    ne.Scalar ge.Tensor ge.Scalar gt.Tensor gt.Scalar le.Tensor le.Scalar lt.Tensor lt.Scalar clamp
    clamp.Tensor clamp_min clamp_min.Tensor clamp_max clamp_max.Tensor lerp.Scalar lerp.Tensor addcdiv
    addcmul where.self masked_fill.Scalar masked_fill.Tensor complex polar dist isin.Tensor_Tensor
    isin.Tensor_Scalar isin.Scalar_Tensor __lshift__.Scalar __lshift__.Tensor __rshift__.Scalar
    __rshift__.Tensor
"""

BINARY_OUT = "add.out sub.out mul.out div.out maximum.out minimum.out pow.Tensor_Scalar_out sqrt.out"

INPLACE = """
    abs_ acos_ acosh_ asin_ asinh_ atan_ atanh_ atan2_ bitwise_not_ ceil_ conj_physical_ cos_ cosh_
    deg2rad_ digamma_ erf_ erfc_ erfinv_ exp_ exp2_ expm1_ floor_ frac_ i0_ lgamma_ log_ log10_ log1p_
    log2_ logical_not_ neg_ rad2deg_ reciprocal_ round_ round_.decimals rsqrt_ sgn_ sigmoid_ sign_ silu_
    sin_ sinc_ sinh_ sqrt_ tan_ tanh_ trunc_ nan_to_num_ relu_ mish_ hardsigmoid_ hardswish_ hardtanh_
    leaky_relu_ elu_ celu_ gelu_ threshold_ logit_ add_.Tensor add_.Scalar sub_.Tensor sub_.Scalar
    mul_.Tensor mul_.Scalar div_.Tensor div_.Scalar div_.Tensor_mode div_.Scalar_mode pow_.Scalar
    pow_.Tensor copysign_.Tensor copysign_.Scalar floor_divide_.Tensor floor_divide_.Scalar fmod_.Tensor
    fmod_.Scalar remainder_.Tensor remainder_.Scalar hypot_ gcd_ lcm_ ldexp_ nextafter_ xlogy_.Tensor
    xlogy_.Scalar_Other heaviside_ igamma_ igammac_ bitwise_and_.Tensor bitwise_and_.Scalar
    bitwise_or_.Tensor bitwise_or_.Scalar bitwise_xor_.Tensor bitwise_xor_.Scalar
    bitwise_left_shift_.Tensor bitwise_right_shift_.Tensor logical_and_ logical_or_ logical_xor_
    eq_.Tensor eq_.Scalar ne_.Tensor ne_.Scalar ge_.Tensor ge_.Scalar gt_.Tensor gt_.Scalar le_.Tensor
    le_.Scalar lt_.Tensor lt_.Scalar clamp_ clamp_.Tensor clamp_min_ clamp_min_.Tensor clamp_max_
    clamp_max_.Tensor __ilshift__.Scalar __ilshift__.Tensor __irshift__.Scalar __irshift__.Tensor
    lerp_.Scalar lerp_.Tensor addcdiv_ addcmul_ masked_fill_.Scalar masked_fill_.Tensor copy_
    fill_.Scalar fill_.Tensor zero_ tril_ triu_ cumsum_ cumprod_ renorm_
"""

DERIVATIVES = """
    elu_backward gelu_backward glu_backward hardshrink_backward hardsigmoid_backward hardswish_backward
    hardtanh_backward leaky_relu_backward log_sigmoid_backward logit_backward mish_backward
    sigmoid_backward silu_backward softplus_backward softshrink_backward tanh_backward
    threshold_backward _prelu_kernel_backward native_dropout_backward rrelu_with_noise_backward
    masked_scatter_backward
"""

REDUCTIONS = """
    sum sum.dim_IntList mean mean.dim prod prod.dim_int nansum amax amin aminmax max max.dim min min.dim
    argmax argmin all all.dim all.dims any any.dim any.dims count_nonzero count_nonzero.dim_IntList
    logsumexp std.correction std_mean.correction var.correction var_mean.correction norm.ScalarOpt_dim
    norm.Scalar norm.ScalarOpt_dim_dtype norm.ScalarOpt_dtype linalg_vector_norm median median.dim
    nanmedian nanmedian.dim kthvalue mode trace renorm cumsum cumprod cummax cummin logcumsumexp sort
    sort.stable topk equal allclose bincount histc _softmax _softmax_backward_data _log_softmax
    _log_softmax_backward_data _safe_softmax _is_all_true _is_any_true _local_scalar_dense is_same_size
    _has_same_storage_numel
"""

MATRICES = """
    mm bmm addmm addmm_ addmv addmv_ baddbmm baddbmm_ addbmm addbmm_ addr addr_ mv dot vdot mm.out
    bmm.out addmm.out _addmm_activation _trilinear linalg_cross block_diag _cdist_forward
    _cdist_backward _pdist_forward _pdist_backward _euclidean_dist convolution convolution_backward
    col2im im2col
"""

LINEAR_ALGEBRA = """
    _linalg_det _linalg_slogdet _linalg_solve_ex _linalg_eigh _linalg_svd _linalg_check_errors
    linalg_cholesky_ex linalg_inv_ex linalg_lu linalg_lu_factor_ex linalg_lu_solve linalg_qr lu_unpack
    linalg_solve_triangular triangular_solve cholesky_inverse cholesky_solve linalg_householder_product
    linalg_pinv.atol_rtol_tensor linalg_matrix_exp geqrf ormqr linalg_eig linalg_lstsq _fft_c2c _fft_c2r
    _fft_r2c
"""

NORMALIZATION = """
    native_batch_norm native_batch_norm_backward _native_batch_norm_legit
    _native_batch_norm_legit.no_stats _native_batch_norm_legit_no_training _batch_norm_with_update
    _batch_norm_no_update batch_norm_backward native_layer_norm native_layer_norm_backward
    native_group_norm native_group_norm_backward _weight_norm_interface _weight_norm_interface_backward
"""

POOLING = """
    _adaptive_avg_pool2d _adaptive_avg_pool2d_backward _adaptive_avg_pool3d
    _adaptive_avg_pool3d_backward adaptive_max_pool2d adaptive_max_pool2d_backward adaptive_max_pool3d
    adaptive_max_pool3d_backward avg_pool2d avg_pool2d_backward avg_pool3d avg_pool3d_backward
    max_pool2d_with_indices max_pool2d_with_indices_backward max_pool3d_with_indices
    max_pool3d_with_indices_backward max_unpool2d max_unpool3d
"""

RESAMPLING = """
    upsample_nearest1d upsample_nearest1d_backward upsample_nearest2d upsample_nearest2d_backward
    upsample_nearest3d upsample_nearest3d_backward _upsample_nearest_exact1d
    _upsample_nearest_exact1d_backward _upsample_nearest_exact2d _upsample_nearest_exact2d_backward
    _upsample_nearest_exact3d _upsample_nearest_exact3d_backward upsample_linear1d
    upsample_linear1d_backward upsample_bilinear2d upsample_bilinear2d_backward upsample_trilinear3d
    upsample_trilinear3d_backward upsample_bicubic2d upsample_bicubic2d_backward _upsample_bilinear2d_aa
    _upsample_bilinear2d_aa_backward _upsample_bicubic2d_aa _upsample_bicubic2d_aa_backward
    grid_sampler_2d grid_sampler_2d_backward grid_sampler_3d grid_sampler_3d_backward
    affine_grid_generator constant_pad_nd reflection_pad1d reflection_pad1d_backward reflection_pad2d
    reflection_pad2d_backward reflection_pad3d reflection_pad3d_backward replication_pad1d
    replication_pad1d_backward replication_pad2d replication_pad2d_backward replication_pad3d
    replication_pad3d_backward pixel_shuffle pixel_unshuffle channel_shuffle
"""

ATTENTION = """
    _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention_for_cpu_backward
"""

LOSSES = """
    binary_cross_entropy binary_cross_entropy_backward binary_cross_entropy_with_logits huber_loss
    huber_loss_backward mse_loss mse_loss_backward smooth_l1_loss smooth_l1_loss_backward
    soft_margin_loss soft_margin_loss_backward nll_loss_forward nll_loss_backward nll_loss2d_forward
    nll_loss2d_backward multi_margin_loss multi_margin_loss_backward multilabel_margin_loss_forward
    multilabel_margin_loss_backward
"""

INDEXING = """
    unique_dim_consecutive index.Tensor index_put index_put_ index_select index_add index_add_
    index_copy index_copy_ index_fill.int_Scalar index_fill.int_Tensor index_fill_.int_Scalar
    index_fill_.int_Tensor index_reduce index_reduce_ gather scatter.src scatter.value scatter.reduce
    scatter.value_reduce scatter_.src scatter_.value scatter_.reduce scatter_.value_reduce scatter_add
    scatter_add_ scatter_reduce.two scatter_reduce_.two masked_select masked_scatter masked_scatter_
    take put put_ nonzero nonzero_static embedding embedding_dense_backward embedding_renorm_
    bucketize.Tensor bucketize.Scalar searchsorted.Tensor searchsorted.Scalar unique_consecutive _unique
    _unique2 unique_dim repeat_interleave.Tensor
"""

SHAPES = """
    alias alias_copy detach lift lift_fresh clone _to_copy view view.dtype _unsafe_view view_copy
    view_as_real view_as_complex expand expand_copy permute permute_copy t t_ t_copy transpose.int
    transpose_ transpose_copy.int squeeze squeeze.dim squeeze.dims squeeze_ squeeze_.dim squeeze_.dims
    squeeze_copy squeeze_copy.dim unsqueeze unsqueeze_ unsqueeze_copy select.int select_backward
    select_scatter select_copy.int slice.Tensor slice_backward slice_scatter slice_copy.Tensor
    narrow_copy diagonal diagonal_backward diagonal_copy diagonal_scatter diag_embed unfold
    unfold_backward unfold_copy as_strided as_strided_ as_strided_copy as_strided_scatter
    set_.source_Tensor split.Tensor split_with_sizes split_with_sizes_copy unsafe_split.Tensor
    unsafe_split_with_sizes unbind.int unbind_copy.int cat stack flip roll rot90 repeat tril triu
    tril_indices triu_indices
"""

FACTORIES = """
    hann_window hann_window.periodic hamming_window hamming_window.periodic
    hamming_window.periodic_alpha hamming_window.periodic_alpha_beta blackman_window
    blackman_window.periodic bartlett_window bartlett_window.periodic fft_fftfreq fft_rfftfreq arange
    arange.start arange.start_step empty.memory_format empty_like empty_permuted empty_strided eye eye.m
    full full_like linspace logspace linspace.Tensor_Tensor linspace.Tensor_Scalar
    linspace.Scalar_Tensor new_empty new_empty_strided new_full new_ones new_zeros ones ones_like zeros
    zeros_like scalar_tensor _efficientzerotensor
"""

RANDOM = """
    randint_like.generator randint_like.low_generator_dtype bernoulli bernoulli.p bernoulli_.float
    bernoulli_.Tensor cauchy_ exponential_ geometric_ log_normal_ multinomial normal.Tensor_Tensor
    normal.Tensor_float normal.float_Tensor normal.float_float normal_ native_dropout rand
    rand.generator rand_like rand_like.generator randint randint.generator randint.low
    randint.low_generator randint_like randint_like.low_dtype randn randn.generator randn_like
    randn_like.generator random_ random_.from random_.to randperm randperm.generator uniform_ poisson
    binomial _sample_dirichlet _dirichlet_grad _standard_gamma _standard_gamma_grad rrelu_with_noise
    rrelu_with_noise_
"""

FOREACH = """
    _foreach_acos _foreach_acos_ _foreach_asin _foreach_asin_ _foreach_atan _foreach_atan_ _foreach_ceil
    _foreach_ceil_ _foreach_clone _foreach_cos _foreach_cos_ _foreach_cosh _foreach_cosh_ _foreach_erf
    _foreach_erf_ _foreach_erfc _foreach_erfc_ _foreach_expm1 _foreach_expm1_ _foreach_floor
    _foreach_floor_ _foreach_frac _foreach_frac_ _foreach_lgamma _foreach_lgamma_ _foreach_log10
    _foreach_log10_ _foreach_log1p _foreach_log1p_ _foreach_log2 _foreach_log2_ _foreach_mm _foreach_sin
    _foreach_sin_ _foreach_sinh _foreach_sinh_ _foreach_tan _foreach_tan_ _foreach_trunc _foreach_trunc_
    _foreach_abs _foreach_abs_ _foreach_add.List _foreach_add.Scalar _foreach_add.ScalarList
    _foreach_add.Tensor _foreach_add_.List _foreach_add_.Scalar _foreach_add_.ScalarList
    _foreach_add_.Tensor _foreach_addcdiv.Scalar _foreach_addcdiv.ScalarList _foreach_addcdiv.Tensor
    _foreach_addcdiv_.Scalar _foreach_addcdiv_.ScalarList _foreach_addcdiv_.Tensor
    _foreach_addcmul.Scalar _foreach_addcmul.ScalarList _foreach_addcmul.Tensor _foreach_addcmul_.Scalar
    _foreach_addcmul_.ScalarList _foreach_addcmul_.Tensor _foreach_clamp_max.List
    _foreach_clamp_max.Scalar _foreach_clamp_max.ScalarList _foreach_clamp_max_.List
    _foreach_clamp_max_.Scalar _foreach_clamp_max_.ScalarList _foreach_clamp_min.List
    _foreach_clamp_min.Scalar _foreach_clamp_min.ScalarList _foreach_clamp_min_.List
    _foreach_clamp_min_.Scalar _foreach_clamp_min_.ScalarList _foreach_copy _foreach_copy_
    _foreach_div.List _foreach_div.Scalar _foreach_div.ScalarList _foreach_div.Tensor _foreach_div_.List
    _foreach_div_.Scalar _foreach_div_.ScalarList _foreach_div_.Tensor _foreach_exp _foreach_exp_
    _foreach_lerp.List _foreach_lerp.Scalar _foreach_lerp.ScalarList _foreach_lerp_.List
    _foreach_lerp_.Scalar _foreach_lerp_.ScalarList _foreach_log _foreach_log_ _foreach_max
    _foreach_maximum.List _foreach_maximum.Scalar _foreach_maximum.ScalarList _foreach_maximum_.List
    _foreach_maximum_.Scalar _foreach_maximum_.ScalarList _foreach_minimum.List _foreach_minimum.Scalar
    _foreach_minimum.ScalarList _foreach_minimum_.List _foreach_minimum_.Scalar
    _foreach_minimum_.ScalarList _foreach_mul.List _foreach_mul.Scalar _foreach_mul.ScalarList
    _foreach_mul.Tensor _foreach_mul_.List _foreach_mul_.Scalar _foreach_mul_.ScalarList
    _foreach_mul_.Tensor _foreach_neg _foreach_neg_ _foreach_norm.Scalar _foreach_pow.List
    _foreach_pow.Scalar _foreach_pow.ScalarAndTensor _foreach_pow.ScalarList _foreach_pow_.List
    _foreach_pow_.Scalar _foreach_pow_.ScalarList _foreach_reciprocal _foreach_reciprocal_
    _foreach_round _foreach_round_ _foreach_rsqrt _foreach_rsqrt_ _foreach_sigmoid _foreach_sigmoid_
    _foreach_sign _foreach_sign_ _foreach_sqrt _foreach_sqrt_ _foreach_sub.List _foreach_sub.Scalar
    _foreach_sub.ScalarList _foreach_sub_.List _foreach_sub_.Scalar _foreach_sub_.ScalarList
    _foreach_tanh _foreach_tanh_ _foreach_zero_
"""

OPTIMIZERS = """
    _fused_sgd_ _fused_sgd_.tensor_lr _fused_adam_ _fused_adam_.tensor_lr _fused_adamw_
    _fused_adamw_.tensor_lr _fused_adagrad_ _fused_adagrad_.tensor_lr
    _amp_foreach_non_finite_check_and_unscale_ _amp_update_scale_
"""

FAMILIES = (
    UNARY, BINARY, BINARY_OUT, INPLACE, DERIVATIVES, REDUCTIONS, MATRICES, LINEAR_ALGEBRA,
    NORMALIZATION, POOLING, RESAMPLING, ATTENTION, LOSSES, INDEXING, SHAPES, FACTORIES, RANDOM, FOREACH,
    OPTIMIZERS,
)  # fmt: skip


def overloads() -> Iterator[torch._ops.OpOverload]:
    """The allowed overloads, each once, in the order of their names.

    Raises:
            AttributeError: the installed PyTorch does not have one of them.
            ValueError: a name is listed twice.
    """
    names = [name for family in FAMILIES for name in family.split()]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"listed twice: {sorted(twice)}")
    for name in sorted(names):
        base, _, overload = name.partition(".")
        yield getattr(getattr(torch.ops.aten, base), overload or "default")


def text() -> str:
    """The contents of schemas.txt: per line a schema, a tab, and the tags."""
    lines = []
    for operator in overloads():
        tags = " ".join(sorted(tag.name for tag in operator.tags))
        lines.append(f"{operator._schema}\t{tags}\n")
    return "".join(lines)


def main() -> int:
    if "--check" in sys.argv[1:]:
        return int(SCHEMAS.read_text(encoding="utf-8") != text())
    SCHEMAS.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
