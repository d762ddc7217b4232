"""Binding follows the schema; validators refuse what would leave a tensor."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haet_eval.operators.checking.validation import (
    MAX_ELEMENTS,
    ElementOrigin,
    Refused,
    bind,
    is_dynamic,
    validate,
    written_parameters,
)
from haet_eval.operators.schema import Operator
from haet_eval.operators.signature import ANY, Argument, TensorMeta
from haet_eval.operators.table import allowed_operators, lookup


def operator(name: str) -> Operator:
    found = lookup(f"aten.{name}")
    assert found is not None
    return found


def tensor(*shape: int, dtype: str = "float32") -> TensorMeta:
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.insert(0, step)
        step *= max(size, 1)
    return TensorMeta(shape, tuple(strides), 0, dtype)


def refused(
    name: str,
    arguments: Mapping[str, Argument],
    origins: Mapping[str, ElementOrigin | None] | None = None,
    storage_bytes: Mapping[str, int] | None = None,
) -> bool:
    """Whether the call is refused, and not because a validator stumbled over it."""
    found = operator(name)
    try:
        validate(found, bind(found, arguments), origins or {}, storage_bytes or {})
    except Refused as problem:
        if problem.__cause__ is not None:
            raise
        return True
    return False


class TestBind:
    def test_fills_in_defaults(self) -> None:
        bound = bind(operator("add.Tensor"), {"self": tensor(2), "other": tensor(2)})
        assert bound == {"self": tensor(2), "other": tensor(2), "alpha": 1}

    def test_repeats_a_lone_value_in_a_list_of_fixed_size(self) -> None:
        bound = bind(operator("avg_pool2d.default"), {"self": tensor(1, 4, 4), "kernel_size": 2})
        assert bound["kernel_size"] == (2, 2)

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"self": tensor(2)},
            {"self": tensor(2), "other": tensor(2), "__import__": 1},
            {"self": tensor(2), "other": tensor(2), "alpha": "1"},
            {"self": tensor(2), "other": tensor(2), "alpha": tensor(1)},
            {"self": tensor(2), "other": tensor(2), "alpha": 2**63},
            {"self": tensor(2), "other": (tensor(2),)},
            {"self": None, "other": tensor(2)},
            {"self": 1.0, "other": tensor(2)},
            {"self": tensor(2, dtype="quint8"), "other": tensor(2)},
            {"self": tensor(*[1] * 65), "other": tensor(2)},
        ],
    )
    def test_refuses_what_the_schema_does_not_say(self, given: Mapping[str, Argument]) -> None:
        with pytest.raises(Refused):
            bind(operator("add.Tensor"), given)

    def test_wants_sizes_by_value_if_a_float_decides_them(self) -> None:
        assert operator("arange.start_step").facts.literal == {"start", "end", "step"}
        with pytest.raises(Refused):
            bind(operator("arange.default"), {"end": ANY})
        assert bind(operator("normal_.default"), {"self": tensor(2), "std": ANY})["std"] is ANY

    @given(st.sampled_from(sorted(allowed_operators())), st.data())
    def test_never_fails_otherwise_than_by_refusing(self, name: str, data: st.DataObject) -> None:
        found = operator(name.removeprefix("aten."))
        names = st.sampled_from([parameter.name for parameter in found.parameters] or ["self"])
        chosen = data.draw(st.dictionaries(names, _values, max_size=12))
        refused(found.name.removeprefix("aten."), chosen)


_atoms: st.SearchStrategy[Argument] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 9),
    st.sampled_from(
        [2**63 - 1, -(2**63), 2**64, 0.5, float("nan"), 1j, ANY, "float32", "mean", "channels_last", ""]
    ),
    st.lists(st.integers(0, 5), max_size=5).map(lambda shape: tensor(*shape)),
    st.lists(st.integers(0, 5), max_size=5).map(lambda shape: tensor(*shape, dtype="int64")),
)
_values: st.SearchStrategy[Argument] = st.one_of(_atoms, st.lists(_atoms, max_size=4).map(tuple))


class TestSizes:
    @pytest.mark.parametrize("size", [(-1,), (MAX_ELEMENTS + 1,), (2**20, 2**20), (2**62, 0), (2**62, 4)])
    def test_a_factory_of_an_impossible_size_is_refused(self, size: tuple[int, ...]) -> None:
        assert refused("zeros.default", {"size": size})

    def test_an_empty_tensor_is_legal(self) -> None:
        assert not refused("zeros.default", {"size": (0, 3)})

    def test_expanding_and_broadcasting_have_an_end(self) -> None:
        assert refused("expand.default", {"self": tensor(1), "size": (2**62,)})
        column, row = tensor(2**20, 1), tensor(1, 2**20)
        assert refused("add.Tensor", {"self": column, "other": row})
        assert refused("repeat.default", {"self": tensor(2**20), "repeats": (2**20,)})
        assert refused("constant_pad_nd.default", {"self": tensor(3), "pad": (2**40, 2**40)})

    @pytest.mark.parametrize("end", [float("inf"), float("nan"), 1e30, 2**62])
    def test_a_range_has_an_end(self, end: float) -> None:
        assert refused("arange.default", {"end": end})


class TestViews:
    def test_a_view_stays_in_its_storage(self) -> None:
        whole = tensor(4)
        inside: dict[str, Argument] = {"self": whole, "size": (2,), "stride": (2,), "storage_offset": 1}
        held = {"self": 16}
        assert not refused("as_strided.default", inside, storage_bytes=held)
        changes: list[dict[str, Argument]] = [
            {"storage_offset": 2},
            {"stride": (3,)},
            {"size": (3,)},
            {"stride": (-1,)},
        ]
        for change in changes:
            assert refused("as_strided.default", {**inside, **change}, storage_bytes=held)
        assert refused("as_strided.default", inside)

    def test_the_storage_is_measured_in_bytes(self) -> None:
        wide: dict[str, Argument] = {"self": tensor(4, dtype="float64"), "size": (4,), "stride": (1,)}
        assert not refused("as_strided.default", wide, storage_bytes={"self": 32})
        assert refused("as_strided.default", wide, storage_bytes={"self": 31})

    def test_overflowing_strides_are_refused(self) -> None:
        huge: dict[str, Argument] = {
            "self": tensor(4),
            "size": (2**33,),
            "stride": (2**62,),
            "storage_offset": 0,
        }
        assert refused("as_strided.default", huge, storage_bytes={"self": 16})

    @pytest.mark.parametrize(("old", "new"), [("uint8", "int64"), ("int64", "uint8"), ("uint8", "bool")])
    def test_several_elements_are_not_packed_into_one(self, old: str, new: str) -> None:
        assert refused("view.dtype", {"self": tensor(8, dtype=old), "dtype": new})

    def test_a_pair_of_floats_is_not_seen_as_one(self) -> None:
        assert refused("view.dtype", {"self": tensor(8, dtype="complex64"), "dtype": "float64"})
        assert refused("view.dtype", {"self": tensor(8, dtype="complex64"), "dtype": "int64"})
        assert refused("view.dtype", {"self": tensor(8, dtype="float64"), "dtype": "complex64"})
        assert not refused("view.dtype", {"self": tensor(8, dtype="complex64"), "dtype": "complex64"})

    def test_a_view_of_the_same_width_may_change_the_dtype(self) -> None:
        assert not refused("view.dtype", {"self": tensor(8), "dtype": "int32"})


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("native_batch_norm.default", {"training": False}),
        ("_batch_norm_no_update.default", {}),
        ("_native_batch_norm_legit_no_training.default", {}),
    ],
)
def test_an_evaluation_by_running_statistics_has_them(name: str, mode: Mapping[str, Argument]) -> None:
    honest: dict[str, Argument] = {
        "input": tensor(2, 3, 4),
        "weight": None,
        "bias": None,
        "momentum": 0.1,
        "eps": 1e-5,
        **mode,
        **dict.fromkeys(("running_mean", "running_var"), tensor(3)),
    }
    assert not refused(name, honest)
    assert refused(name, honest | {"running_mean": None, "running_var": None})


def test_the_factors_of_a_trilinear_product_have_one_rank() -> None:
    fits: dict[str, Argument] = {
        "i1": tensor(3, 4),
        "i2": tensor(3, 5),
        "i3": tensor(3),
        "expand1": (-1,),
        "expand2": (1,),
        "expand3": (1, 2),
        "sumdim": (0,),
    }
    assert not refused("_trilinear.default", fits)
    for change in ({"i3": tensor(3, 1)}, {"expand1": (0, 1)}, {"expand1": (3,)}, {"sumdim": (0, -3)}):
        assert refused("_trilinear.default", {**fits, **change})


class TestDynamic:
    def test_an_index_is_dynamic_with_a_mask_only(self) -> None:
        index = operator("index.Tensor")
        numbers = bind(index, {"self": tensor(4), "indices": (tensor(2, dtype="int64"),)})
        mask = bind(index, {"self": tensor(4), "indices": (None, tensor(4, dtype="bool"))})
        assert not is_dynamic(index, numbers)
        assert is_dynamic(index, mask)

    def test_a_given_output_size_is_not_dynamic(self) -> None:
        repeat = operator("repeat_interleave.Tensor")
        counts = tensor(3, dtype="int64")
        assert is_dynamic(repeat, bind(repeat, {"repeats": counts}))
        assert not is_dynamic(repeat, bind(repeat, {"repeats": counts, "output_size": 7}))

    def test_values_and_shapes_from_data_are_dynamic(self) -> None:
        for name in ("_local_scalar_dense.default", "nonzero.default", "equal.default", "_unique2.default"):
            assert operator(name).dynamic
        assert not operator("add.Tensor").dynamic


def test_written_parameters_include_what_the_schema_forgets() -> None:
    assert written_parameters(operator("add_.Tensor")) == {"self"}
    assert written_parameters(operator("native_batch_norm.default")) == {"running_mean", "running_var"}
    assert written_parameters(operator("add.Tensor")) == frozenset()
