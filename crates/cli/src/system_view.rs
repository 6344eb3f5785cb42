//! What the system's service manager knows of a stack, or of an entry of one of its services.

use mainstay_service::manager::{Fact, FactValue, Manager};

use crate::args::Select;
use crate::entries;
use crate::failure::Failure;
use crate::installed::{self, Installed};
use crate::names::{self, Meant};

/// A service of the system that a name on the command line means.
#[derive(Debug)]
pub struct OfSystem {
    /// What the service manager calls it.
    pub name: String,
    /// The service manager.
    pub manager: Manager,
}

impl OfSystem {
    /// Those that are meant.
    ///
    /// # Errors
    /// One is not installed, or is a service that only its stack knows.
    pub fn meant(select: &Select, names: &[String]) -> Result<Vec<OfSystem>, Failure> {
        let mut all = Vec::new();
        for meant in names::meant(select, names)? {
            let stack = &meant.place.name;
            let installed = Installed::read(&meant.place).ok_or_else(|| {
                Failure::not_there(format!("stack {stack} is not installed"))
                    .hint("`mainstay install` makes it a service of the system")
            })?;
            for name in own_names(&meant, &installed)? {
                all.push(OfSystem { name, manager: installed.manager()? });
            }
        }
        Ok(all)
    }

    /// All that is known of it.
    ///
    /// # Errors
    /// The service manager does not say.
    pub fn facts(&self) -> Result<Vec<Fact>, Failure> {
        self.manager.facts(&self.name).map_err(installed::failure)
    }
}

fn own_names(meant: &Meant, installed: &Installed) -> Result<Vec<String>, Failure> {
    let stack = &meant.place.name;
    if meant.whole || meant.services.is_empty() {
        return Ok(vec![stack.clone()]);
    }
    let own = |service: &String| {
        if installed.entries.contains(service) {
            return Ok(entries::name(stack, service));
        }
        Err(Failure::usage(format!("{service} is no service of the system by itself, its stack {stack} is"))
            .hint(format!(
                "say {stack}; or on Windows make entries of its services with `mainstay install --entries`"
            )))
    };
    meant.services.iter().map(own).collect()
}

/// As JSON: the names are keys.
pub fn json(facts: &[Fact]) -> serde_json::Value {
    let value = |fact: &Fact| match &fact.value {
        FactValue::Number(number) => (*number).into(),
        FactValue::Truth(truth) => (*truth).into(),
        FactValue::List(list) => list.clone().into(),
        other => other.to_string().into(),
    };
    let map: serde_json::Map<_, _> = facts.iter().map(|fact| (fact.name.to_owned(), value(fact))).collect();
    map.into()
}

/// For people: a line each, and one for each part of a list.
pub fn text(facts: &[Fact]) -> String {
    let label = |fact: &Fact| fact.name.replace('_', " ");
    let width = facts.iter().map(|fact| fact.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for fact in facts {
        let values = match &fact.value {
            FactValue::List(list) if !list.is_empty() => list.clone(),
            other => vec![other.to_string()],
        };
        for (nth, value) in values.iter().enumerate() {
            let label = if nth == 0 { label(fact) } else { String::new() };
            text.push_str(&format!("{label:width$}  {value}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_shown_to_people_and_programs() {
        let fact = |name, value| Fact { name, value };
        let facts = [
            fact("name", FactValue::from("shop")),
            fact("process", FactValue::from(7_u32)),
            fact("marked_for_deletion", FactValue::from(false)),
            fact("access", FactValue::from(vec!["a: all".to_owned(), "b: start".to_owned()])),
            fact("triggers", FactValue::from(Vec::<String>::new())),
        ];
        let expected = "name                 shop\nprocess              7\nmarked for deletion  no\n\
            access               a: all\n                     b: start\ntriggers             none\n";
        assert_eq!(text(&facts), expected);
        let expected = serde_json::json!({
            "name": "shop", "process": 7, "marked_for_deletion": false,
            "access": ["a: all", "b: start"], "triggers": [],
        });
        assert_eq!(json(&facts), expected);
    }
}
