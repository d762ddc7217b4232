"""Operators that have a price although no submission may call them: the one list of them.

Plain PyTorch dispatches them, so `OperationCounter` and `haet_eval.price` meet them: overloads that write
into `out`, functional or in-place forms, kernels of one backend, operators that fuse several. Each costs as
much as the operator that it is a form of, or as its written-out form.
"""

from typing import Final

from haet_eval.operators import (  # noqa: F401  (importing a family fills the table)
    activations,
    attention,
    convolution,
    distance,
    dropout,
    factories,
    fft,
    foreach,
    grid_sampling,
    indexing,
    interpolation,
    linalg,
    losses,
    margin_losses,
    matmul,
    movement,
    norms,
    optimizers,
    pointwise,
    pooling,
    random,
    reductions,
    rnn,
    scans,
    softmax,
    sorting,
    special,
    transformer,
    views,
)
from haet_eval.operators.table import Price, overloads, plain

# Names and not a rule: a test compares the lists with the installed PyTorch, so that a new version shows up
# as a difference to be looked at (decision 0160).
WITH_OUT: Final = """
    abs acos acosh _adaptive_avg_pool2d _adaptive_avg_pool2d_backward _adaptive_avg_pool3d
    _adaptive_avg_pool3d_backward adaptive_max_pool2d adaptive_max_pool3d add.Scalar addbmm addcdiv addcmul
    _addmm_activation addmv addr affine_grid_generator alias_copy all all.dims amax amin aminmax angle any
    any.dims arange arange.start argmax argmin as_strided_copy as_strided_scatter asin asinh atan atan2
    atanh avg_pool2d avg_pool3d baddbmm bartlett_window bartlett_window.periodic _batch_norm_no_update
    _batch_norm_with_update bernoulli binary_cross_entropy binary_cross_entropy_with_logits bincount
    binomial bitwise_and.Scalar bitwise_and.Tensor bitwise_left_shift.Tensor
    bitwise_left_shift.Tensor_Scalar bitwise_not bitwise_or.Scalar bitwise_or.Tensor
    bitwise_right_shift.Tensor bitwise_right_shift.Tensor_Scalar bitwise_xor.Scalar bitwise_xor.Tensor
    blackman_window blackman_window.periodic block_diag bucketize.Scalar bucketize.Tensor cat
    _cdist_backward _cdist_forward ceil celu channel_shuffle cholesky_inverse cholesky_solve clamp
    clamp.Tensor clamp_max clamp_max.Tensor clamp_min clamp_min.Tensor clone col2im complex _conj_physical
    constant_pad_nd convolution convolution_backward copysign.Scalar cos cosh count_nonzero
    count_nonzero.dim_IntList cummax cummin cumprod cumsum deg2rad diag_embed diagonal_backward
    diagonal_copy diagonal_scatter digamma _dirichlet_grad dist div.Scalar div.Scalar_mode dot
    _efficientzerotensor elu embedding embedding_dense_backward empty_like empty_permuted empty_strided
    eq.Scalar eq.Tensor erf erfc erfinv _euclidean_dist exp exp2 expand_copy expm1 eye eye.m _fft_c2c
    _fft_c2r fft_fftfreq _fft_r2c fft_rfftfreq fill.Scalar fill.Tensor flip floor floor_divide
    floor_divide.Scalar fmax fmin fmod.Scalar fmod.Tensor _foreach_abs _foreach_acos _foreach_add.List
    _foreach_add.Scalar _foreach_add.ScalarList _foreach_add.Tensor _foreach_addcdiv.Scalar
    _foreach_addcdiv.ScalarList _foreach_addcdiv.Tensor _foreach_addcmul.Scalar _foreach_addcmul.ScalarList
    _foreach_addcmul.Tensor _foreach_asin _foreach_atan _foreach_ceil _foreach_clamp_max.List
    _foreach_clamp_max.Scalar _foreach_clamp_max.ScalarList _foreach_clamp_min.List
    _foreach_clamp_min.Scalar _foreach_clamp_min.ScalarList _foreach_clone _foreach_copy _foreach_cos
    _foreach_cosh _foreach_div.List _foreach_div.Scalar _foreach_div.ScalarList _foreach_div.Tensor
    _foreach_erf _foreach_erfc _foreach_exp _foreach_expm1 _foreach_floor _foreach_frac _foreach_lerp.List
    _foreach_lerp.Scalar _foreach_lerp.ScalarList _foreach_lgamma _foreach_log _foreach_log10 _foreach_log1p
    _foreach_log2 _foreach_max _foreach_maximum.List _foreach_maximum.Scalar _foreach_maximum.ScalarList
    _foreach_minimum.List _foreach_minimum.Scalar _foreach_minimum.ScalarList _foreach_mul.List
    _foreach_mul.Scalar _foreach_mul.ScalarList _foreach_mul.Tensor _foreach_neg _foreach_norm.Scalar
    _foreach_pow.List _foreach_pow.Scalar _foreach_pow.ScalarList _foreach_reciprocal _foreach_round
    _foreach_rsqrt _foreach_sigmoid _foreach_sign _foreach_sin _foreach_sinh _foreach_sqrt _foreach_sub.List
    _foreach_sub.Scalar _foreach_sub.ScalarList _foreach_tan _foreach_tanh _foreach_trunc frac full
    full_like gather gcd ge.Scalar ge.Tensor gelu glu grid_sampler_2d grid_sampler_2d_backward
    grid_sampler_3d grid_sampler_3d_backward gt.Scalar gt.Tensor hamming_window hamming_window.periodic
    hamming_window.periodic_alpha hamming_window.periodic_alpha_beta hann_window hann_window.periodic
    hardshrink hardsigmoid hardswish hardswish_backward hardtanh heaviside histc huber_loss
    huber_loss_backward hypot i0 igamma igammac im2col index.Tensor index_add index_copy
    index_fill.int_Scalar index_fill.int_Tensor index_put index_reduce index_select isin.Scalar_Tensor
    isin.Tensor_Scalar isin.Tensor_Tensor isinf isnan isneginf isposinf lcm le.Scalar le.Tensor leaky_relu
    lerp.Scalar lerp.Tensor lgamma lift linalg_cross linalg_eig linalg_householder_product linalg_lstsq
    linalg_lu linalg_lu_factor_ex linalg_lu_solve linalg_matrix_exp linalg_pinv.atol_rtol_tensor linalg_qr
    linalg_solve_triangular linalg_vector_norm linspace linspace.Scalar_Tensor linspace.Tensor_Scalar
    linspace.Tensor_Tensor log log10 log1p log2 _log_softmax _log_softmax_backward_data logaddexp logaddexp2
    logcumsumexp logical_and logical_not logical_or logical_xor logit logspace logsumexp __lshift__.Scalar
    __lshift__.Tensor lt.Scalar lt.Tensor lu_unpack masked_fill.Scalar masked_fill.Tensor masked_scatter
    masked_select max_pool2d_with_indices max_pool3d_with_indices max_unpool2d max_unpool3d mean median mish
    mse_loss mul.Scalar multi_margin_loss multinomial mv mvlgamma nan_to_num nanmedian nansum narrow_copy
    native_batch_norm native_batch_norm_backward _native_batch_norm_legit _native_batch_norm_legit.no_stats
    _native_batch_norm_legit_no_training native_dropout native_dropout_backward native_group_norm
    native_group_norm_backward native_layer_norm native_layer_norm_backward ne.Scalar ne.Tensor neg
    new_empty new_empty_strided new_full new_ones new_zeros nextafter nonzero nonzero_static norm.Scalar
    norm.ScalarOpt_dtype normal.Tensor_Tensor normal.Tensor_float normal.float_Tensor normal.float_float
    ones ones_like ormqr _pdist_backward _pdist_forward permute_copy pixel_shuffle pixel_unshuffle poisson
    polar polygamma pow.Scalar pow.Tensor_Tensor prod put rad2deg rand rand_like rand_like.generator randint
    randint.generator randint.low randint.low_generator randint_like randint_like.generator
    randint_like.low_dtype randint_like.low_generator_dtype randn_like randn_like.generator randperm
    randperm.generator reciprocal reflection_pad1d reflection_pad2d reflection_pad3d relu remainder.Scalar
    remainder.Scalar_Tensor remainder.Tensor renorm repeat repeat_interleave.Tensor replication_pad1d
    replication_pad2d replication_pad3d roll rot90 round round.decimals rrelu_with_noise
    rrelu_with_noise_backward __rshift__.Scalar __rshift__.Tensor rsqrt rsub.Scalar rsub.Tensor
    _sample_dirichlet scalar_tensor scatter.reduce scatter.src scatter.value scatter.value_reduce
    scatter_add scatter_reduce.two searchsorted.Scalar searchsorted.Tensor select_backward select_copy.int
    select_scatter sgn sigmoid sign signbit silu sin sinc sinh slice_backward slice_copy.Tensor
    slice_scatter smooth_l1_loss soft_margin_loss _softmax _softmax_backward_data softplus softshrink
    special_entr special_erfcx special_i0e special_i1 special_i1e special_log_ndtr special_ndtri
    special_xlog1py special_zeta split_with_sizes_copy squeeze_copy squeeze_copy.dim stack _standard_gamma
    _standard_gamma_grad std.correction std_mean.correction sub.Scalar sum t_copy take tan tanh threshold
    _to_copy trace transpose_copy.int tril tril_indices _trilinear triu triu_indices trunc unbind_copy.int
    unfold_backward unfold_copy _unique _unique2 unique_consecutive unique_dim unique_dim_consecutive
    unsafe_split.Tensor unsafe_split_with_sizes _unsafe_view unsqueeze_copy upsample_bicubic2d
    _upsample_bicubic2d_aa upsample_bilinear2d _upsample_bilinear2d_aa upsample_linear1d upsample_nearest1d
    upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d upsample_trilinear3d var.correction var_mean.correction vdot view_copy
    _weight_norm_interface _weight_norm_interface_backward where.self zeros zeros_like
"""
"""Overloads that submissions may call, and of which there is one with `out` as well: `add.Scalar_out`."""

OTHER_OVERLOADS: Final = {
    ".IntList_out": "sum",
    ".L": "linalg_cholesky_ex",
    ".Tensor .Tensor_out": "bernoulli randint_like",
    ".Tensor_generator .Tensor_generator_out": "randint_like",
    ".U": "_linalg_svd",
    ".X": "triangular_solve",
    ".a": "geqrf",
    ".all_out": "all any",
    ".dim_max": "max",
    ".dim_min": "min",
    ".dims .dims_out": "squeeze_copy",
    ".dtype": "addmm baddbmm bmm mm view_copy",
    ".dtype_out": "addmm baddbmm bmm mean mm view_copy",
    ".eigenvalues": "_linalg_eigh",
    ".grad_input": """
        _upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa_backward _upsample_nearest_exact1d_backward
        _upsample_nearest_exact2d_backward _upsample_nearest_exact3d_backward adaptive_max_pool2d_backward
        adaptive_max_pool3d_backward avg_pool2d_backward avg_pool3d_backward binary_cross_entropy_backward
        elu_backward gelu_backward glu_backward hardshrink_backward hardsigmoid_backward hardtanh_backward
        leaky_relu_backward log_sigmoid_backward logit_backward max_pool2d_with_indices_backward
        max_pool3d_with_indices_backward mse_loss_backward multi_margin_loss_backward
        multilabel_margin_loss_backward nll_loss2d_backward nll_loss_backward reflection_pad1d_backward
        reflection_pad2d_backward reflection_pad3d_backward replication_pad1d_backward
        replication_pad2d_backward replication_pad3d_backward sigmoid_backward silu_backward
        smooth_l1_loss_backward soft_margin_loss_backward softplus_backward softshrink_backward tanh_backward
        threshold_backward upsample_bicubic2d_backward upsample_bilinear2d_backward upsample_linear1d_backward
        upsample_nearest1d_backward upsample_nearest2d_backward upsample_nearest3d_backward
        upsample_trilinear3d_backward
    """,
    ".int_out": "prod",
    ".inverse": "linalg_inv_ex",
    ".other_scalar .other_scalar_out .self_scalar .self_scalar_out": "special_xlog1py special_zeta",
    ".output": "log_sigmoid_forward multilabel_margin_loss_forward nll_loss2d_forward nll_loss_forward",
    ".result": "_linalg_det _linalg_solve_ex",
    ".sign": "_linalg_slogdet",
    ".unary_out": "max min",
    ".values": "kthvalue mode sort topk",
    ".values_stable": "sort",
    ".vec_out": "upsample_bilinear2d upsample_nearest2d",
}
"""Operators that submissions may call by their default overload, with other overloads at the same price."""

LIKE: Final[dict[str | Price, str]] = {
    "rrelu_with_noise": "rrelu_with_noise_functional.default",
    # The machine decides which backend runs, and a price must not depend on it.
    "_scaled_dot_product_flash_attention_for_cpu": """
        _scaled_dot_product_cudnn_attention.default _scaled_dot_product_efficient_attention.default
        _scaled_dot_product_flash_attention.default _scaled_dot_product_fused_attention_overrideable.default
    """,
    "_scaled_dot_product_flash_attention_for_cpu_backward": """
        _scaled_dot_product_cudnn_attention_backward.default
        _scaled_dot_product_efficient_attention_backward.default
        _scaled_dot_product_flash_attention_backward.default
        _scaled_dot_product_fused_attention_overrideable_backward.default
    """,
    attention.choice_of_backend: "_fused_sdp_choice.default",
    "convolution": "_convolution convolution_overrideable",
    "convolution_backward": "convolution_backward_overrideable",
    convolution.backend_convolution: """
        _conv_depthwise2d conv_depthwise3d cudnn_convolution miopen_convolution miopen_depthwise_convolution
        mkldnn_convolution _nnpack_spatial_convolution _slow_conv2d_forward.default
        _slow_conv2d_forward.output slow_conv3d_forward.default slow_conv3d_forward.output slow_conv_dilated2d
        slow_conv_dilated3d
    """,
    convolution.backend_transposed_convolution: """
        cudnn_convolution_transpose miopen_convolution_transpose slow_conv_transpose2d slow_conv_transpose3d
    """,
    convolution.convolution_add_relu: "cudnn_convolution_add_relu",
    convolution.convolution_relu: "cudnn_convolution_relu",
    convolution.convolution_tbc: "conv_tbc",
    convolution.slow_convolution_backward: """
        _slow_conv2d_backward.output_mask _slow_conv2d_backward.output_mask_out
    """,
    "native_dropout_backward": "_masked_scale",
    dropout.fused_dropout: "_fused_dropout",
    "_foreach_zero_": "_foreach_zero",
    foreach.sum_of_powers: "_foreach_powsum.Scalar _foreach_powsum.Scalar_out",
    "affine_grid_generator": "cudnn_affine_grid_generator",
    "grid_sampler_2d": "cudnn_grid_sampler _grid_sampler_2d_cpu_fallback",
    "grid_sampler_2d_backward": "cudnn_grid_sampler_backward _grid_sampler_2d_cpu_fallback_backward.default",
    grid_sampling.affine_grid_backward: "cudnn_affine_grid_generator_backward",
    "embedding_renorm_": "embedding_renorm",
    "index.Tensor": "_unsafe_index.Tensor",
    "index_put": """
        _index_put_impl.default _index_put_impl.out _index_put_impl_.default _unsafe_index_put.default
    """,
    indexing.embedding_bag: "_embedding_bag _embedding_bag_forward_only",
    indexing.embedding_bag_backward: "_embedding_bag_backward.default _embedding_bag_dense_backward",
    indexing.histogram: "histogram.bin_ct histogram.bin_ct_out",
    indexing.histogram_with_edges: "histogram.bins_tensor histogram.bins_tensor_out",
    indexing.histogramdd: "_histogramdd_from_bin_cts",
    indexing.histogramdd_edges: "_histogramdd_bin_edges",
    indexing.histogramdd_with_edges: "_histogramdd_from_bin_tensors",
    indexing.masked_index: "_unsafe_masked_index.default",
    indexing.masked_index_put_accumulate: "_unsafe_masked_index_put_accumulate.default",
    indexing.sample_weights_backward: "_embedding_bag_per_sample_weights_backward",
    indexing.segment_reduce: "segment_reduce",
    indexing.segment_reduce_backward: "_segment_reduce_backward",
    "_upsample_bicubic2d_aa": "_upsample_lanczos2d_aa",
    "_upsample_bicubic2d_aa_backward": """
        _upsample_lanczos2d_aa_backward.default _upsample_lanczos2d_aa_backward.grad_input
    """,
    "cholesky_solve": "_cholesky_solve_helper",
    linalg.eigenvalues: "_linalg_eigvals.default linalg_eigvals.out",
    linalg.hermitian_root: "linalg_matrix_sqrth",
    linalg.ldl: "linalg_ldl_factor_ex",
    linalg.ldl_solve: "linalg_ldl_solve",
    linalg.polar: "linalg_polar",
    "mm": "_int_mm",
    matmul.linear: "linear.out",
    "alias": """
        detach_.default _fw_primal.default _make_dual.default _reshape_alias.default slice_inverse.default
        _sparse_broadcast_to.default
    """,
    "cat": """
        _chunk_cat resize.default resize.out resize_.default set.default set.out set.source_Tensor
        set.source_Tensor_out set_.default _stack zero
    """,
    "clone": """
        copy _copy_from detach_copy _fw_primal_copy _lazy_clone.default lift_fresh_copy _make_dual_copy
        _pin_memory _reshape_alias_copy _reshape_copy.default _sparse_broadcast_to_copy split_copy.Tensor
        split_copy.Tensor_out view_as_complex_copy view_as_real_copy
    """,
    "full": """
        empty.out kaiser_window.beta kaiser_window.beta_out kaiser_window.default kaiser_window.out
        kaiser_window.periodic kaiser_window.periodic_out _new_zeros_with_same_feature_meta range.default
        range.out range.out_ range.step
    """,
    "is_same_size": """
        _assert_async.default _assert_async.msg _assert_scalar.default _assert_tensor_metadata.default
        _functional_assert_async.msg is_pinned.default is_set_to.default record_stream.default
    """,
    "linspace.Scalar_Tensor": """
        logspace.Scalar_Tensor logspace.Scalar_Tensor_out logspace.Tensor_Scalar logspace.Tensor_Scalar_out
        logspace.Tensor_Tensor logspace.Tensor_Tensor_out
    """,
    movement.sign_change: "_conj_copy _neg_view_copy",
    "_batch_norm_with_update": "_batch_norm_with_update_functional.default",
    "native_batch_norm": "cudnn_batch_norm miopen_batch_norm _native_batch_norm_legit_functional.default",
    norms.cudnn_batch_norm_backward: "cudnn_batch_norm_backward miopen_batch_norm_backward",
    norms.rms_norm_backward: "_fused_rms_norm_backward.default",
    "_amp_foreach_non_finite_check_and_unscale_": "_amp_foreach_non_finite_check_and_unscale",
    "_amp_update_scale_": "_amp_update_scale",
    "_fused_adagrad_": """
        _fused_adagrad.default _fused_adagrad.out _fused_adagrad.tensor_lr _fused_adagrad.tensor_lr_out
    """,
    "_fused_adam_": "_fused_adam.default _fused_adam.out _fused_adam.tensor_lr _fused_adam.tensor_lr_out",
    "_fused_adamw_": """
        _fused_adamw.default _fused_adamw.out _fused_adamw.tensor_lr _fused_adamw.tensor_lr_out
    """,
    "_fused_sgd_": "_fused_sgd.default _fused_sgd.out _fused_sgd.tensor_lr _fused_sgd.tensor_lr_out",
    "bitwise_and.Scalar": "bitwise_and.Scalar_Tensor bitwise_and.Scalar_Tensor_out",
    "bitwise_left_shift.Tensor": """
        bitwise_left_shift.Scalar_Tensor bitwise_left_shift.Scalar_Tensor_out
        bitwise_left_shift_.Tensor_Scalar
    """,
    "bitwise_or.Scalar": "bitwise_or.Scalar_Tensor bitwise_or.Scalar_Tensor_out",
    "bitwise_right_shift.Tensor": """
        bitwise_right_shift.Scalar_Tensor bitwise_right_shift.Scalar_Tensor_out
        bitwise_right_shift_.Tensor_Scalar
    """,
    "bitwise_xor.Scalar": "bitwise_xor.Scalar_Tensor bitwise_xor.Scalar_Tensor_out",
    "conj_physical_": "conj_physical.out",
    "copysign.Scalar": "copysign.out",
    "div.out": "div.out_mode",
    "ldexp_": "ldexp.out",
    "mvlgamma": "mvlgamma_.default",
    "polygamma": "polygamma_.default",
    "special_i1": """
        special_airy_ai special_bessel_j0 special_bessel_j1 special_bessel_y0 special_bessel_y1
        special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0
        special_modified_bessel_k1 special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1
        special_spherical_bessel_j0
    """,
    "xlogy.Tensor": "xlogy.OutScalar_Other xlogy.OutScalar_Self xlogy.OutTensor",
    pointwise.add_relu: """
        _add_relu.Scalar _add_relu.Scalar_out _add_relu.Tensor _add_relu.out _add_relu_.Scalar
        _add_relu_.Tensor
    """,
    pointwise.per_element(2): "frexp.Tensor frexp.Tensor_out",
    "_adaptive_avg_pool2d": "adaptive_avg_pool1d.out adaptive_avg_pool2d.out adaptive_avg_pool3d.out",
    "_adaptive_avg_pool2d_backward": "adaptive_avg_pool3d_backward.grad_input",
    "adaptive_max_pool2d_backward": """
        fractional_max_pool2d_backward.default fractional_max_pool2d_backward.grad_input
        fractional_max_pool3d_backward.default fractional_max_pool3d_backward.grad_input
    """,
    "avg_pool2d": "avg_pool1d.out",
    pooling.fractional_max_pool: """
        fractional_max_pool2d.default fractional_max_pool2d.output fractional_max_pool3d.default
        fractional_max_pool3d.output
    """,
    "bernoulli.p": "bernoulli.float_out",
    "cauchy_": "cauchy",
    "exponential_": "exponential",
    "geometric_": "geometric",
    "log_normal_": "log_normal",
    "normal_": "normal.out",
    "rand": "normal_functional.default",
    "random_": "random.default random.from random.from_out random.out random.to random.to_out",
    "uniform_": "uniform",
    "aminmax": "_aminmax.default _aminmax.dim _aminmax.dim_out _aminmax.out",
    "norm.Scalar": """
        native_norm.ScalarOpt_dim_dtype native_norm.ScalarOpt_dim_dtype_out native_norm.default
        native_norm.out norm.dtype_out norm.out
    """,
    rnn.gru_cell: "_thnn_fused_gru_cell",
    rnn.gru_cell_backward: "_thnn_fused_gru_cell_backward",
    rnn.lstm_cell: "_thnn_fused_lstm_cell",
    rnn.lstm_cell_backward: "_thnn_fused_lstm_cell_backward_impl",
    rnn.lstm_layer: "mkldnn_rnn_layer",
    rnn.lstm_layer_backward: "mkldnn_rnn_layer_backward",
    "cummax": "_cummax_helper.default _cummin_helper.default",
    "logcumsumexp": "_logcumsumexp",
    "_log_softmax": "log_softmax.int_out",
    "_softmax": "softmax.int_out",
    softmax.masked_softmax: "_masked_softmax",
    "median.dim": "median.dim_values",
    "nanmedian.dim": "nanmedian.dim_values",
    special.orthogonal_polynomial: """
        special_chebyshev_polynomial_t.default special_chebyshev_polynomial_t.n_scalar
        special_chebyshev_polynomial_t.n_scalar_out special_chebyshev_polynomial_t.out
        special_chebyshev_polynomial_t.x_scalar special_chebyshev_polynomial_t.x_scalar_out
        special_chebyshev_polynomial_u.default special_chebyshev_polynomial_u.n_scalar
        special_chebyshev_polynomial_u.n_scalar_out special_chebyshev_polynomial_u.out
        special_chebyshev_polynomial_u.x_scalar special_chebyshev_polynomial_u.x_scalar_out
        special_chebyshev_polynomial_v.default special_chebyshev_polynomial_v.n_scalar
        special_chebyshev_polynomial_v.n_scalar_out special_chebyshev_polynomial_v.out
        special_chebyshev_polynomial_v.x_scalar special_chebyshev_polynomial_v.x_scalar_out
        special_chebyshev_polynomial_w.default special_chebyshev_polynomial_w.n_scalar
        special_chebyshev_polynomial_w.n_scalar_out special_chebyshev_polynomial_w.out
        special_chebyshev_polynomial_w.x_scalar special_chebyshev_polynomial_w.x_scalar_out
        special_hermite_polynomial_h.default special_hermite_polynomial_h.n_scalar
        special_hermite_polynomial_h.n_scalar_out special_hermite_polynomial_h.out
        special_hermite_polynomial_h.x_scalar special_hermite_polynomial_h.x_scalar_out
        special_hermite_polynomial_he.default special_hermite_polynomial_he.n_scalar
        special_hermite_polynomial_he.n_scalar_out special_hermite_polynomial_he.out
        special_hermite_polynomial_he.x_scalar special_hermite_polynomial_he.x_scalar_out
        special_laguerre_polynomial_l.default special_laguerre_polynomial_l.n_scalar
        special_laguerre_polynomial_l.n_scalar_out special_laguerre_polynomial_l.out
        special_laguerre_polynomial_l.x_scalar special_laguerre_polynomial_l.x_scalar_out
        special_legendre_polynomial_p.default special_legendre_polynomial_p.n_scalar
        special_legendre_polynomial_p.n_scalar_out special_legendre_polynomial_p.out
        special_legendre_polynomial_p.x_scalar special_legendre_polynomial_p.x_scalar_out
        special_shifted_chebyshev_polynomial_t.default special_shifted_chebyshev_polynomial_t.n_scalar
        special_shifted_chebyshev_polynomial_t.n_scalar_out special_shifted_chebyshev_polynomial_t.out
        special_shifted_chebyshev_polynomial_t.x_scalar special_shifted_chebyshev_polynomial_t.x_scalar_out
        special_shifted_chebyshev_polynomial_u.default special_shifted_chebyshev_polynomial_u.n_scalar
        special_shifted_chebyshev_polynomial_u.n_scalar_out special_shifted_chebyshev_polynomial_u.out
        special_shifted_chebyshev_polynomial_u.x_scalar special_shifted_chebyshev_polynomial_u.x_scalar_out
        special_shifted_chebyshev_polynomial_v.default special_shifted_chebyshev_polynomial_v.n_scalar
        special_shifted_chebyshev_polynomial_v.n_scalar_out special_shifted_chebyshev_polynomial_v.out
        special_shifted_chebyshev_polynomial_v.x_scalar special_shifted_chebyshev_polynomial_v.x_scalar_out
        special_shifted_chebyshev_polynomial_w.default special_shifted_chebyshev_polynomial_w.n_scalar
        special_shifted_chebyshev_polynomial_w.n_scalar_out special_shifted_chebyshev_polynomial_w.out
        special_shifted_chebyshev_polynomial_w.x_scalar special_shifted_chebyshev_polynomial_w.x_scalar_out
    """,
    transformer.encoder_layer: "_transformer_encoder_layer_fwd",
    transformer.multi_head_attention: "_native_multi_head_attention",
}
"""By what they cost as much as: an overload that submissions may call, or a price of their own.

A name without an overload stands for `.default` and `.out`.
"""


def _named(name: str) -> tuple[str, ...]:
    return (f"aten.{name}",) if "." in name else overloads(name, ".default .out")


# PyTorch names the form of a default overload `out`, and that of another one by its name.
def _with_out(name: str) -> str:
    base, _, overload = name.partition(".")
    return f"aten.{base}.{overload}_out" if overload else f"aten.{base}.out"


# `plain` raises for a name that has an entry or a price, so nothing can be in two of these lists.
for _name in WITH_OUT.split():
    plain(_name, _with_out(_name))
for _overloads, _names in OTHER_OVERLOADS.items():
    for _name in _names.split():
        plain(_name, *overloads(_name, _overloads))
for _like, _names in LIKE.items():
    for _name in _names.split():
        plain(_like, *_named(_name))
