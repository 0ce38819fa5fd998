//! The middle of several rounds, and how far they lie apart.

/// A median with the least and the greatest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// Of some values; of none there is no spread.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            least: *sorted.first()?,
            greatest: *sorted.last()?,
        })
    }

    /// Of the ratios of values that were measured in the same round.
    pub(crate) fn of_ratios(numerators: &[f64], denominators: &[f64]) -> Option<Self> {
        Self::of(numerators.iter().zip(denominators).map(|(above, below)| above / below))
    }
}

/// The least value that this part of all values does not exceed; of none there is none.
pub(crate) fn percentile(values: &[f64], part: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::{Spread, percentile};

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        let found = [0.5, 0.99, 1.0].map(|part| percentile(&values, part));
        assert_eq!(found, [Some(100.0), Some(198.0), Some(200.0)]);
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 9.0]);
        assert_eq!(spread, Some(Spread { median: 3.5, least: 1.0, greatest: 9.0 }));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let spread = Spread::of_ratios(&[10.0, 20.0, 30.0], &[5.0, 10.0, 10.0]);
        assert_eq!(spread, Some(Spread { median: 2.0, least: 2.0, greatest: 3.0 }));
        assert_eq!(Spread::of_ratios(&[], &[]), None);
    }
}
