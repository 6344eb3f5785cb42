//! Templates of the files of programs: minijinja, with what a service knows of itself.
//!
//! Nothing is taken for granted: a name that is not there is an error with its place in the template, never an empty
//! string. A template can reach nothing but what it is given, and its work and its length are bounded. The values of
//! secrets it is not given: what it makes refers to them.

pub(crate) mod hidden;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use mainstay_core::SecretText;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, Value};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};

/// The longest file, in bytes.
pub(crate) const MAX_RENDERED: usize = 1024 * 1024;
/// Steps of one template: loops of loops end.
const FUEL: u64 = 5_000_000;

/// What a template can refer to.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// `values`.
    pub values: Value,
    /// `env`: the variables that the service sees.
    pub env: BTreeMap<String, SecretText>,
    /// `service`: its name.
    pub service: String,
    /// `instance`: its number, if it has one.
    pub instance: Option<u32>,
}

/// Why a template comes to nothing.
#[derive(Debug)]
pub(crate) struct Mistake {
    pub message: String,
    pub hint: Option<String>,
    /// Its place in the template, in bytes.
    pub range: Range<usize>,
}

/// A table in which a name that is not there is an error that says which names are.
#[derive(Debug)]
struct Variables(BTreeMap<String, SecretText>);

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).map(hidden::value)
    }
}

/// Renders a template.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn render(template: &str, known: &Known) -> Result<SecretText, Mistake> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // A file ends as its template does.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        environment.set_syntax(syntax);
    }
    hidden::add_filters(&mut environment);
    environment.set_fuel(Some(FUEL));
    environment.set_debug(true);
    let mut context = BTreeMap::from([
        ("values", known.values.clone()),
        ("env", Value::from_object(Variables(known.env.clone()))),
        ("service", Value::from(known.service.as_str())),
        ("secret", Value::from_object(hidden::Names)),
    ]);
    context.extend(known.instance.map(|number| ("instance", Value::from(number))));
    let names: Vec<&str> = context.keys().copied().collect();
    let rendered = environment
        .template_from_str(template)
        .and_then(|template| template.render(Value::from(context.clone())))
        .map_err(|error| mistake(&error, template, &names))?;
    if rendered.len() > MAX_RENDERED {
        return Err(Mistake {
            message: format!("the file would have {} bytes", rendered.len()),
            hint: Some(format!("at most {MAX_RENDERED} are accepted")),
            range: 0..0,
        });
    }
    hidden::references(&rendered)
}

/// The variables that a template asks for by name: `env.PORT`. Nothing of one that is wrong.
pub(crate) fn variables_of(template: &str) -> Vec<String> {
    let environment = Environment::new();
    let Ok(template) = environment.template_from_str(template) else { return Vec::new() };
    let asked = template.undeclared_variables(true);
    asked.iter().filter_map(|path| path.strip_prefix("env.")).map(str::to_owned).collect()
}

fn mistake(error: &minijinja::Error, template: &str, names: &[&str]) -> Mistake {
    let range = error.range().unwrap_or_else(|| {
        // Some errors know their line alone.
        let line = error.line().unwrap_or(1).saturating_sub(1);
        let start = template.split_inclusive('\n').take(line).map(str::len).sum();
        start..start
    });
    let what = template.get(range.clone()).unwrap_or_default().trim();
    let detail = error.detail().map(str::to_owned);
    let (message, hint) = match error.kind() {
        ErrorKind::UndefinedError if !what.is_empty() => (
            format!("`{what}` is not there"),
            Some(format!(
                "a template knows {}; `{{{{ {what} | default(1) }}}}` does without",
                names.join(", ")
            )),
        ),
        ErrorKind::OutOfFuel => (
            "this template does not come to an end".to_owned(),
            Some("its loops have too many turns".to_owned()),
        ),
        ErrorKind::UnknownFilter => (
            detail.unwrap_or_else(|| error.to_string()),
            Some("docs/program-configuration.md names the filters".to_owned()),
        ),
        kind => (detail.map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")), None),
    };
    Mistake { message, hint, range }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstay_core::Piece;

    fn rendered(template: &str) -> String {
        render(template, &known()).unwrap().to_string()
    }

    fn known() -> Known {
        let values = BTreeMap::from([("limit", Value::from(7)), ("hosts", Value::from(vec!["a", "b"]))]);
        let dsn = SecretText::of([Piece::Text("u\":".into()), Piece::Secret("db", vec![])]);
        Known {
            values: Value::from(values),
            env: BTreeMap::from([("PORT".to_owned(), "80".into()), ("DSN".to_owned(), dsn)]),
            service: "api".to_owned(),
            instance: None,
        }
    }

    #[test]
    fn a_template_has_values_variables_and_names() {
        let text = "{{ service }} {{ env.PORT }} {{ values.limit * 2 }}\n{% for h in values.hosts %}{{ h }};{% endfor %}\n";
        assert_eq!(rendered(text), "api 80 14\na;b;\n");
        let json = r#"{"limit": {{ values.limit|tojson }}, "hosts": {{ values.hosts|tojson }}, "q": "<&>"}"#;
        let rendered: serde_json::Value = serde_json::from_str(&rendered(json)).unwrap();
        assert_eq!(rendered, serde_json::json!({ "limit": 7, "hosts": ["a", "b"], "q": "<&>" }));
    }

    #[test]
    fn what_is_not_there_is_an_error_at_its_place() {
        for (text, what) in [
            ("one\n{{ values.limt }}\n", "values.limt"),
            ("{{ env.HOST }}", "env.HOST"),
            ("{{ instance }}", "instance"),
            ("{% if valeus.limit %}x{% endif %}", "valeus.limit"),
        ] {
            let wrong = render(text, &known()).unwrap_err();
            assert!(wrong.message.contains("is not there"), "{text}: {wrong:?}");
            assert!(
                text[wrong.range.clone()].contains(what) || what.contains(&text[wrong.range.clone()]),
                "{wrong:?}"
            );
            assert!(!wrong.range.is_empty(), "{text}: {wrong:?}");
        }
        assert_eq!(rendered("{{ values.limt | default(3) }}"), "3");
    }

    #[test]
    fn what_has_no_end_is_broken_off() {
        let text = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        assert!(render(text, &known()).unwrap_err().message.contains("does not come to an end"));
        assert!(render("{% for x in y", &known()).is_err());
        assert!(render("{% include '/etc/passwd' %}", &known()).is_err());
    }

    #[test]
    fn a_secret_becomes_a_reference_that_says_how_it_is_written() {
        for (template, becomes) in [
            ("$ {{ secret.db }}\n", "$$ ${secret:db}\n"),
            ("{{ secret['db-2'] | tojson }}", "\"${secret:db-2|json}\""),
            ("{{ {'p': [secret.db]} | tojson }}", "{\"p\": [\"${secret:db|json}\"]}"),
            ("{{ ('u:' ~ secret.db) | urlencode }}", "u%3a${secret:db|url}"),
            ("{{ secret.db | e }}<{{ '<' | escape }}", "${secret:db|html}<&lt;"),
            ("{{ secret.db | urlencode | tojson }}", "\"${secret:db|url|json}\""),
            ("{{ secret.db | tojson | e }}", "\"${secret:db|json}\""),
            ("{{ env.DSN }} {{ env.DSN | tojson }}", "u\":${secret:db} \"u\\\":${secret:db|json}\""),
            ("{% if secret.db %}{{ secret.db }}{% endif %}", "${secret:db}"),
        ] {
            assert_eq!(rendered(template), becomes, "{template}");
        }
    }

    #[test]
    fn a_secret_is_not_cut_changed_or_counted() {
        for template in [
            "{{ secret.db | upper }}",
            "{{ secret.db | replace('7c', '') }}",
            "{{ secret.db ~ '' | truncate(20) }}",
            "{{ secret.db[:20] }}",
            "{{ secret.db | length }}",
            "{{ secret['a b'] }}",
            "{% for n in range(101) %}{{ secret.db }}{% endfor %}",
        ] {
            let outcome = render(template, &known());
            assert!(outcome.is_err(), "{template}: {outcome:?}");
        }
    }
}
