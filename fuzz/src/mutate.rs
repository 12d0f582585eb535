//! Mutations of words: what stands between blanks and punctuation is dropped, doubled, moved, or put in another's place.

use std::sync::LazyLock;

use crate::catalog::TABLES;

/// Words that statements are made of.
const KEYWORDS: &str = "SELECT FROM WHERE GROUP BY HAVING ORDER LIMIT OFFSET WITH MUTUALLY RECURSIVE UNION ALL INTERSECT EXCEPT DISTINCT ON \
     JOIN LEFT RIGHT FULL CROSS NATURAL USING LATERAL EXISTS IN ANY NOT AND OR IS NULL CASE WHEN THEN ELSE END CAST AS OVER PARTITION \
     ROWS RANGE BETWEEN UNBOUNDED PRECEDING FOLLOWING CURRENT ROW FILTER WITHIN GROUPING SETS ROLLUP CUBE VALUES TABLE ARRAY[1,2] \
     LIST[1,2] MAP['a'=>1] ROW(1,2) INSERT INTO UPDATE SET DELETE RETURNING CREATE VIEW MATERIALIZED INDEX TEMPORARY EXPLAIN PLAN FOR \
     SUBSCRIBE OF OPTIONS NULLS FIRST LAST ASC DESC INTERVAL DATE TIMESTAMP ESCAPE LIKE ILIKE SIMILAR TO EXTRACT COLLATE ( ) , ; . :: + - \
     * / % || -> ->> #> @> <@ ? = <> < <= > >= ~ !~ $1 $2 1 0 -1 1.5 1e10 2147483647 9223372036854775807 'x' '' NULL TRUE FALSE '{1,2}' \
     '2024-01-01' '{\"a\":1}' int bigint text numeric jsonb date timestamp interval int[] uint4 mz_now() now()";

static POOL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut pool: Vec<String> = KEYWORDS.split_whitespace().map(str::to_owned).collect();
    for (table, columns) in TABLES.iter() {
        for _ in 0..4 {
            pool.push((*table).to_owned());
            pool.extend(columns.iter().map(|(column, _)| (*column).to_owned()));
        }
    }
    let registry = hw_expr::func::registry();
    let names = registry.functions.keys().chain(registry.aggregates.keys()).chain(registry.tables.keys());
    pool.extend(names.map(|name| format!("{name}(")));
    pool
});

/// A linear congruential generator: reproducible from libFuzzer's seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// One to four changes of words.
pub(crate) fn mutate(text: &str, seed: u32) -> String {
    let mut random = Random(u64::from(seed) << 16 | 1);
    let mut words = words(text);
    for _ in 0..=random.below(4) {
        change(&mut words, &mut random);
    }
    words.join(" ")
}

fn change(words: &mut Vec<String>, random: &mut Random) {
    let word = POOL[random.below(POOL.len())].clone();
    if words.is_empty() {
        return words.push(word);
    }
    let at = random.below(words.len());
    let end = (at + 1 + random.below(6)).min(words.len());
    match random.below(6) {
        0 => drop(words.drain(at..end)),
        1 => words[at] = word,
        2 => words.insert(at, word),
        3 => {
            let copied: Vec<String> = words[at..end].to_vec();
            let to = random.below(words.len());
            words.splice(to..to, copied);
        }
        4 => {
            let other = random.below(words.len());
            words.swap(at, other);
        }
        _ => {
            // A subquery or a deeper expression in the place of a word.
            let inner = format!("( SELECT {word} FROM {} )", TABLES[random.below(TABLES.len())].0);
            words[at] = inner;
        }
    }
}

/// Words, quoted strings whole, and single punctuation.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![];
    let (mut word, mut quoted) = (String::new(), false);
    for c in text.chars() {
        if c == '\'' {
            quoted = !quoted;
            word.push(c);
        } else if quoted || c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else {
            if !word.is_empty() {
                words.push(std::mem::take(&mut word));
            }
            if !c.is_whitespace() {
                word.push(c);
                words.push(std::mem::take(&mut word));
            }
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
