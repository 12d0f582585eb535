//! Delta joins: one path of lookups for each input, nothing kept but the inputs' arrangements.
//!
//! Each output update stems from one update of each input. It is produced by the path of the input whose update is last in the
//! total order of (time, path's position): a path sees updates of the sources of earlier paths up to and at the time of its
//! own update, those of later paths only before it. So the rows that are there at the beginning, at the as-of, are the last
//! path's business alone: the others leave them out at once. The time travels with the row along the path ([`Timed`]), apart from the
//! time of the row, which grows with what it meets.

use differential_dataflow::AsCollection;
use differential_dataflow::collection::concatenate;
use differential_dataflow::collection::vec::Collection as VecCollection;
use hw_plan::lir::JoinPath;
use hw_repr::{Diff, Row, Timestamp};
use timely::dataflow::Scope;

use super::arrange::read_arrangement;
use super::half_join::{Keyed, half_join};
use super::join_linear::Combine;
use super::mfp::{RowMfp, flat_map_rows};
use super::unpack::{KeySplit, PairReader};
use super::{Bundle, Collection, Flavor};
use crate::row_container::RowRef;
use crate::time::RenderTime;
use crate::typedefs::Errs;

/// A row and the time of the update that started the path.
pub(crate) type Timed<T> = (Row, T);

/// Renders a delta join.
pub(crate) fn render<'scope, T: RenderTime>(
    scope: Scope<'scope, T>,
    inputs: Vec<Bundle<'scope, T>>,
    input_arities: &[usize],
    paths: &[JoinPath],
    (as_of, until): (Timestamp, Timestamp),
) -> Collection<'scope, T> {
    let mut oks = Vec::new();
    let mut errs: Vec<_> = inputs.iter().map(|i| i.errs.clone()).collect();
    for (at, path) in paths.iter().enumerate() {
        let later: Vec<usize> = paths[at + 1..].iter().map(|p| p.source).collect();
        let (path_oks, path_errs) = render_path(&inputs, input_arities, path, &later, (as_of, until));
        oks.push(path_oks.map(|(row, _)| row));
        errs.extend(path_errs);
    }
    Collection { oks: concatenate(scope, oks), errs: concatenate(scope, errs) }
}

type Stream<'scope, T> = VecCollection<'scope, T, Timed<T>, Diff>;

fn render_path<'scope, T: RenderTime>(
    inputs: &[Bundle<'scope, T>],
    input_arities: &[usize],
    path: &JoinPath,
    later: &[usize],
    (as_of, until): (Timestamp, Timestamp),
) -> (Stream<'scope, T>, Vec<Errs<'scope, T>>) {
    let (mut stream, first) = {
        let beginning = (!later.is_empty()).then(|| T::to_inner(as_of));
        start(&inputs[path.source], path, beginning, until)
    };
    let mut errs = vec![first];
    for stage in &path.stages {
        let (keyed, key_errs) = key_stream(stream, stage);
        errs.push(key_errs);
        let combine = Combine::new(stage, input_arities[stage.input], until);
        let strict = later.contains(&stage.input);
        let input = inputs[stage.input].arranged.get(&stage.lookup_key);
        let (joined, more) = match input.expect("the plan has arranged what is looked up").clone() {
            Flavor::Local(arranged) => half_join(keyed, arranged, strict, combine),
            Flavor::Import(_, arranged) => half_join(keyed, arranged, strict, combine),
        };
        stream = joined;
        errs.push(more);
    }
    (stream, errs)
}

/// The source's updates with their times, without those at the time `without`.
fn start<'scope, T: RenderTime>(
    source: &Bundle<'scope, T>,
    path: &JoinPath,
    without: Option<T>,
    until: Timestamp,
) -> (Stream<'scope, T>, Errs<'scope, T>) {
    let initial = RowMfp::new(&path.initial, until);
    let Some(key) = path.source_key.as_ref().filter(|k| source.arranged.contains_key(*k)) else {
        return flat_map_rows(
            source.collection().oks,
            "DeltaStart",
            Box::new(move |row, time: T, diff, oks, errs| {
                if without.as_ref() == Some(&time) {
                    return;
                }
                let mut rows = Vec::new();
                initial.apply_row(row, time.clone(), diff, &mut rows, errs);
                oks.extend(rows.into_iter().map(|(row, at, diff)| ((row, time.clone()), at, diff)));
            }),
        );
    };
    let reader = PairReader::new(key, initial.needed());
    let mut rows = Vec::new();
    let logic = Box::new(
        move |key: RowRef<'_>,
              val: RowRef<'_>,
              time: &T,
              diff: Diff,
              oks: &mut Vec<(Timed<T>, T, Diff)>,
              errs: &mut Vec<_>| {
            if without.as_ref() == Some(time) {
                return;
            }
            initial.apply_pair(key, val, &reader, time.clone(), diff, &mut rows, errs);
            oks.extend(rows.drain(..).map(|(row, at, diff)| ((row, time.clone()), at, diff)));
        },
    );
    let (oks, errs) = match &source.arranged[key] {
        Flavor::Local(arranged) => read_arrangement(arranged.clone(), None, logic),
        Flavor::Import(_, arranged) => read_arrangement(arranged.clone(), None, logic),
    };
    (oks.as_collection(), errs.as_collection())
}

/// The stream's rows as key and rest.
fn key_stream<'scope, T: RenderTime>(
    stream: Stream<'scope, T>,
    stage: &hw_plan::lir::JoinStage,
) -> (VecCollection<'scope, T, Keyed<T>, Diff>, Errs<'scope, T>) {
    let split = KeySplit::new(&stage.stream_key, stage.stream_arity);
    flat_map_rows(
        stream,
        "DeltaKey",
        Box::new(move |(row, initial): Timed<T>, time, diff, oks, errs| match split.split(&row) {
            Ok((key, val)) => oks.push(((key, val, initial), time, diff)),
            Err(e) => errs.push((e, time, diff)),
        }),
    )
}
