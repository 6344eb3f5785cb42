//! Walks along dependencies: everything that has an order has it from one of these.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{Plan, ServiceName};

/// What can be reached from `roots`, each after all that `below` gives for it, else as given. A circle, which no
/// valid plan has, is cut where it closes.
///
/// # Errors
/// The first of `below`.
pub(crate) fn bottom_up<'n, E>(
    roots: impl IntoIterator<Item = &'n ServiceName>,
    mut below: impl FnMut(&'n ServiceName) -> Result<Vec<&'n ServiceName>, E>,
) -> Result<Vec<ServiceName>, E> {
    let (mut order, mut seen, mut open) = (Vec::new(), BTreeSet::new(), Vec::new());
    for root in roots {
        open.push((root, false));
        while let Some((name, is_done)) = open.pop() {
            if is_done {
                order.push(name.clone());
            } else if seen.insert(name) {
                open.push((name, true));
                open.extend(below(name)?.into_iter().rev().map(|next| (next, false)));
            }
        }
    }
    Ok(order)
}

/// The services of a plan in waves: first those that depend on nothing, by name, then those that depend only on these, and so
/// on.
pub(crate) fn in_order(plan: &Plan) -> Vec<ServiceName> {
    let (mut missing, mut free) = (BTreeMap::new(), VecDeque::new());
    let mut dependents: BTreeMap<&ServiceName, Vec<&ServiceName>> = BTreeMap::new();
    for (name, service) in &plan.services {
        let needs = service.depends_on.keys().filter(|need| plan.services.contains_key(*need));
        let count = needs.map(|need| dependents.entry(need).or_default().push(name)).count();
        match count {
            0 => free.push_back(name),
            count => drop(missing.insert(name, count)),
        }
    }
    let mut order = Vec::with_capacity(plan.services.len());
    while let Some(name) = free.pop_front() {
        order.push(name.clone());
        for dependent in dependents.remove(name).into_iter().flatten() {
            if let Some(count) = missing.get_mut(dependent) {
                *count -= 1;
                if *count == 0 {
                    missing.remove(dependent);
                    free.push_back(dependent);
                }
            }
        }
    }
    // What is left depends on itself in a circle, which no valid plan has. It will say what it waits for.
    order.extend(missing.into_keys().cloned());
    order
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_is_below_comes_first_and_once() {
        let names: Vec<ServiceName> =
            ["a", "b", "c", "d"].map(|name| ServiceName::new(name).unwrap()).to_vec();
        // a needs c and b, both need d, and d in a circle a.
        let below = |name: &ServiceName| match name.as_str() {
            "a" => Ok::<_, Infallible>(vec![&names[2], &names[1]]),
            "b" | "c" => Ok(vec![&names[3]]),
            _ => Ok(vec![&names[0]]),
        };
        let Ok(order) = bottom_up([&names[0], &names[1]], below);
        assert_eq!(order, ["d", "c", "b", "a"].map(|name| ServiceName::new(name).unwrap()));
    }
}
