//! Which columns of a row image are those of an export.

use mysql_async::binlog::events::{OptionalMetadataField, TableMapEvent};

use super::decode::binlog::{RowLayout, WireType};
use super::stream::ReaderExport;

/// Where the export's columns are in the rows of a table map. By the names in it (`binlog_row_metadata=FULL`), else by the
/// columns that the table is known to have had, of which the right ones have as many columns, of types that fit.
pub(super) fn layout(export: &ReaderExport, map: &TableMapEvent<'_>) -> Result<RowLayout, String> {
    let count = map.columns_count() as usize;
    let mut wire = Vec::with_capacity(count);
    for i in 0..count {
        let typ =
            map.get_raw_column_type(i).ok().flatten().ok_or("its rows have columns of unknown types")?;
        wire.push(WireType::new(typ as u8, map.get_column_metadata(i).unwrap_or_default()));
    }
    let ingested: Vec<&str> = export.plan.columns.iter().map(|c| c.name.as_str()).collect();
    let positions_in = |names: &[String]| -> Option<Vec<usize>> {
        ingested.iter().map(|wanted| names.iter().position(|n| n == wanted)).collect()
    };
    let fits = |positions: &[usize]| {
        positions.iter().zip(&export.plan.columns).all(|(p, c)| wire.get(*p).is_some_and(|w| w.fits(&c.kind)))
    };
    if let Some(names) = column_names(map).filter(|n| n.len() == count) {
        let positions = positions_in(&names).ok_or("a column was dropped or renamed")?;
        if !fits(&positions) {
            return Err("the type of a column was changed".into());
        }
        return Ok(RowLayout::new(wire, positions));
    }
    let then: Vec<String> = export.table.columns.iter().map(|c| c.name.clone()).collect();
    let candidates: Vec<&[String]> =
        export.columns_now.iter().map(Vec::as_slice).chain([then.as_slice()]).collect();
    for names in candidates.iter().filter(|n| n.len() == count) {
        if let Some(positions) = positions_in(names).filter(|p| fits(p)) {
            return Ok(RowLayout::new(wire, positions));
        }
    }
    // In between several changes; as long as they only appended columns, all agree on where the others are.
    let mut all = candidates.iter().map(|names| positions_in(names));
    if let Some(Some(positions)) = all.next()
        && all.all(|p| p.as_ref() == Some(&positions))
        && fits(&positions)
    {
        return Ok(RowLayout::new(wire, positions));
    }
    Err("its rows do not have the columns that they had (set binlog_row_metadata=FULL to follow changes exactly)".into())
}

fn column_names(map: &TableMapEvent<'_>) -> Option<Vec<String>> {
    map.iter_optional_meta().find_map(|field| match field {
        Ok(OptionalMetadataField::ColumnName(names)) => {
            names.iter_names().map(|n| n.ok().map(|n| n.name().into_owned())).collect()
        }
        _ => None,
    })
}
