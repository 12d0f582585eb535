//! Columns from packed rows. Columns that nothing needs are stepped over, and datums that are only moved keep their bytes:
//! reading and writing datums is what most operators would spend their time on.

use hw_expr::{EvalError, MapFilterProject, MirScalarExpr};
use hw_plan::arrangement::ArrangementLayout;
use hw_plan::lir::Key;
use hw_repr::row::{iter_packed, take_packed};
use hw_repr::{Datum, Row, RowArena};
use smallvec::SmallVec;

use super::mfp::pack_exprs;
use crate::row_container::RowRef;

/// Which input columns a map-filter-project reads, itself or in further expressions over its columns.
pub(crate) fn needed<'e>(
    mfp: &'e MapFilterProject,
    further: impl Iterator<Item = &'e MirScalarExpr>,
) -> Vec<bool> {
    let mut needed = vec![false; mfp.input_arity];
    let exprs = mfp.expressions.iter().chain(mfp.predicates.iter().map(|(_, p)| p)).chain(further);
    for column in exprs.flat_map(MirScalarExpr::support).chain(mfp.projection.iter().copied()) {
        if let Some(needed) = needed.get_mut(column) {
            *needed = true;
        }
    }
    needed
}

/// For each datum of a packed row the column that it is, if that is needed; nothing follows the last needed one.
type Targets = Vec<Option<usize>>;

fn trimmed(mut targets: Targets) -> Targets {
    let end = targets.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    targets.truncate(end);
    targets
}

fn fill<'a>(targets: &[Option<usize>], mut packed: &'a [u8], columns: &mut [Datum<'a>]) {
    for target in targets {
        let datum = take_packed(&mut packed);
        if let Some(column) = target {
            columns[*column] = iter_packed(datum).next().expect("a packed datum");
        }
    }
}

/// Reads the needed columns of rows; the others are NULL.
#[derive(Debug, Clone)]
pub(crate) struct RowReader {
    targets: Targets,
    arity: usize,
}

impl RowReader {
    pub(crate) fn new(needed: &[bool]) -> RowReader {
        let targets = needed.iter().enumerate().map(|(c, needed)| needed.then_some(c)).collect();
        RowReader { targets: trimmed(targets), arity: needed.len() }
    }

    /// Appends the columns.
    pub(crate) fn read<'a>(&self, row: &'a Row, datums: &mut Vec<Datum<'a>>) {
        let start = datums.len();
        datums.resize(start + self.arity, Datum::Null);
        fill(&self.targets, row.data(), &mut datums[start..]);
    }
}

/// Reads the needed columns of a collection's rows from the keys and values of an arrangement; the others are NULL.
#[derive(Debug, Clone)]
pub(crate) struct PairReader {
    key: Targets,
    value: Targets,
    arity: usize,
}

impl PairReader {
    /// For an arrangement by `key`, where the collection's columns are needed as `needed` says.
    pub(crate) fn new(key: &[MirScalarExpr], needed: &[bool]) -> PairReader {
        let layout = ArrangementLayout::new(key, needed.len());
        let mut targets = vec![None; key.len() + layout.value_columns.len()];
        for (column, position) in layout.positions.iter().enumerate() {
            if needed[column] {
                targets[*position] = Some(column);
            }
        }
        let value = targets.split_off(key.len());
        PairReader { key: trimmed(targets), value: trimmed(value), arity: needed.len() }
    }

    /// Appends the columns.
    pub(crate) fn read<'a>(&self, key: RowRef<'a>, value: RowRef<'a>, datums: &mut Vec<Datum<'a>>) {
        let start = datums.len();
        datums.resize(start + self.arity, Datum::Null);
        fill(&self.key, key.data(), &mut datums[start..]);
        fill(&self.value, value.data(), &mut datums[start..]);
    }
}

/// Parts rows into the key and the value that an arrangement holds.
#[derive(Debug, Clone)]
pub(crate) struct KeySplit {
    key: Key,
    /// The key's columns, if it is columns only.
    columns: Option<Vec<usize>>,
    value_columns: Vec<usize>,
}

impl KeySplit {
    /// For rows of `arity` columns.
    pub(crate) fn new(key: &Key, arity: usize) -> KeySplit {
        let column = |e: &MirScalarExpr| match e {
            MirScalarExpr::Column(c) => Some(*c),
            _ => None,
        };
        let value_columns = ArrangementLayout::new(key, arity).value_columns;
        KeySplit { key: key.clone(), columns: key.iter().map(column).collect(), value_columns }
    }

    /// The key and the value of a row.
    ///
    /// # Errors
    /// When an expression of the key fails.
    pub(crate) fn split(&self, row: &Row) -> Result<(Row, Row), EvalError> {
        let mut rest = row.data();
        let mut packed: SmallVec<[&[u8]; 16]> = SmallVec::new();
        while !rest.is_empty() {
            packed.push(take_packed(&mut rest));
        }
        let pick = |columns: &[usize]| {
            Row::try_pack_with(|packer| {
                columns.iter().for_each(|c| packer.extend_packed(packed[*c]));
                Ok::<(), EvalError>(())
            })
        };
        let key = match &self.columns {
            Some(columns) => pick(columns)?,
            None => {
                let datums: SmallVec<[Datum<'_>; 16]> = row.iter().collect();
                pack_exprs(&self.key, &datums, &RowArena::new())?
            }
        };
        Ok((key, pick(&self.value_columns)?))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pairs_give_the_needed_columns() {
        let row = Row::pack_slice(&[Datum::Int64(1), Datum::String("two"), Datum::Null, Datum::Int64(4)]);
        let key = vec![MirScalarExpr::Column(3), MirScalarExpr::Column(1)];
        let (k, v) = KeySplit::new(&key, 4).split(&row).unwrap();
        assert_eq!(k.unpack(), [Datum::Int64(4), Datum::String("two")]);
        assert_eq!(v.unpack(), [Datum::Int64(1), Datum::Null]);
        for needed in 0..16u8 {
            let needed: Vec<bool> = (0..4).map(|c| needed & (1 << c) != 0).collect();
            let mut found = vec![Datum::Bool(true)];
            PairReader::new(&key, &needed).read(RowRef(k.data()), RowRef(v.data()), &mut found);
            let mut whole = vec![Datum::Bool(true)];
            RowReader::new(&needed).read(&row, &mut whole);
            let expected = row.iter().zip(&needed).map(|(d, needed)| if *needed { d } else { Datum::Null });
            assert_eq!(found[1..], expected.collect::<Vec<_>>());
            assert_eq!(found, whole);
        }
    }
}
