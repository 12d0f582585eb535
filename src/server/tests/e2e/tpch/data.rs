//! The data of TPC-H by the rules of its specification, as lines of COPY's text format with `|` between values.
//!
//! The generator is the crate `tpchgen`. Its rows are those of the official program except for the comments, which are
//! cut from a smaller pool of text: the official one takes 300 MB.

use tpchgen::distribution::Distributions;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen::text::TextPool;

const TEXT_POOL_BYTES: i32 = 8 << 20;
/// One refresh stream changes one order of so many.
const ORDERS_PER_REFRESH: i32 = 1_000;

/// A data set of one scale.
pub(super) struct Data {
    scale: f64,
    words: &'static Distributions,
    text: TextPool,
}

/// Rows as COPY takes them.
pub(super) type Lines<'a> = Box<dyn Iterator<Item = String> + Send + 'a>;

/// An order with its items, as lists of SQL literals.
pub(super) struct NewOrder {
    pub(super) order: String,
    pub(super) items: Vec<String>,
}

impl Data {
    pub(super) fn new(scale: f64) -> Data {
        let words = Distributions::static_default();
        Data { scale, words, text: TextPool::new(TEXT_POOL_BYTES, words) }
    }

    /// The rows of each table, smaller tables first.
    pub(super) fn tables(&self) -> Vec<(&'static str, Lines<'_>)> {
        let (w, t, scale) = (self.words, &self.text, self.scale);
        let region = RegionGenerator::new_with_distributions_and_text_pool(w, t);
        let nation = NationGenerator::new_with_distributions_and_text_pool(w, t);
        let supplier = SupplierGenerator::new_with_distributions_and_text_pool(scale, 1, 1, w, t);
        let customer = CustomerGenerator::new_with_distributions_and_text_pool(scale, 1, 1, w, t);
        let part = PartGenerator::new_with_distributions_and_text_pool(scale, 1, 1, w, t);
        let partsupp = PartSuppGenerator::new_with_text_pool(scale, 1, 1, t);
        vec![
            ("region", lines(region.iter())),
            ("nation", lines(nation.iter())),
            ("supplier", lines(supplier.iter())),
            ("customer", lines(customer.iter())),
            ("part", lines(part.iter())),
            ("partsupp", lines(partsupp.iter())),
            ("orders", lines(self.orders(1, 1).iter())),
            ("lineitem", lines(self.items(1, 1).iter())),
        ]
    }

    /// RF1: new orders, which go on where the loaded ones end.
    pub(super) fn new_orders(&self) -> Vec<NewOrder> {
        let part = ORDERS_PER_REFRESH + 1;
        let mut items = self.items(part, ORDERS_PER_REFRESH).iter().peekable();
        let mut orders = Vec::new();
        for order in self.orders(part, ORDERS_PER_REFRESH).iter() {
            let mut own = Vec::new();
            while let Some(item) = items.next_if(|i| i.l_orderkey == order.o_orderkey) {
                own.push(literals(&item.to_string()));
            }
            assert!(!own.is_empty(), "every order has items");
            orders.push(NewOrder { order: literals(&order.to_string()), items: own });
        }
        orders
    }

    /// RF2: the keys of as many loaded orders, which are deleted.
    pub(super) fn old_orders(&self) -> Vec<i64> {
        self.orders(1, 1).iter().step_by(ORDERS_PER_REFRESH as usize).map(|o| o.o_orderkey).collect()
    }

    fn orders(&self, part: i32, parts: i32) -> OrderGenerator<'_> {
        OrderGenerator::new_with_distributions_and_text_pool(self.scale, part, parts, self.words, &self.text)
    }

    fn items(&self, part: i32, parts: i32) -> LineItemGenerator<'_> {
        LineItemGenerator::new_with_distributions_and_text_pool(
            self.scale, part, parts, self.words, &self.text,
        )
    }
}

/// The generator ends each value with `|`, COPY separates them.
fn lines<'a, T: std::fmt::Display>(rows: impl Iterator<Item = T> + Send + 'a) -> Lines<'a> {
    Box::new(rows.map(|row| {
        let mut line = row.to_string();
        assert_eq!(line.pop(), Some('|'));
        line.push('\n');
        line
    }))
}

/// A generated row as a list of literals.
fn literals(row: &str) -> String {
    let values = row.trim_end_matches('|').split('|').map(|v| format!("'{}'", v.replace('\'', "''")));
    values.collect::<Vec<_>>().join(", ")
}
