//! Paths of directories and files: relative ones start at the directory of the configuration file
//! that names them.

use std::path::{Path, PathBuf};

use crate::context::{Context, Field};
use crate::effective::Became;
use crate::value::Value;

/// Reads a path, and makes it absolute.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<PathBuf> {
    let text = cx.string(field, "a path")?;
    let path = absolute(cx, field, &text.value)?;
    if let (Value::Text(written), Some(text)) = (&field.node.value, path.to_str()) {
        cx.record(written, || Became::Text(text.to_owned()));
    }
    Some(path)
}

/// Reads a path that may have a `-` before it: then it need not be there.
pub(crate) fn read_optional(cx: &mut Context<'_>, field: Field<'_>) -> Option<String> {
    let written = cx.string(field, "a path")?;
    let (mark, path) = match written.value.strip_prefix('-') {
        Some(path) => ("-", path),
        None => ("", written.value.as_str()),
    };
    let path = format!("{mark}{}", text(&absolute(cx, field, path)?)?);
    if let Value::Text(written) = &field.node.value {
        cx.record(written, || Became::Text(path.clone()));
    }
    Some(path)
}

/// Reads a path that starts at another directory than the configuration file's; as text.
pub(crate) fn read_below(cx: &mut Context<'_>, field: Field<'_>, base: &Path) -> Option<String> {
    let written = cx.string(field, "a path")?;
    let path = text(&absolute_below(cx, field, &written.value, base)?)?;
    if let Value::Text(written) = &field.node.value {
        cx.record(written, || Became::Text(path.clone()));
    }
    Some(path)
}

fn absolute(cx: &mut Context<'_>, field: Field<'_>, text: &str) -> Option<PathBuf> {
    let base = cx.base_dir(field.span()).to_owned();
    absolute_below(cx, field, text, &base)
}

fn absolute_below(cx: &mut Context<'_>, field: Field<'_>, text: &str, base: &Path) -> Option<PathBuf> {
    if text.trim().is_empty() {
        cx.error(field.span(), format!("`{}` is empty", field.key))
            .hint("\".\" is the directory of the configuration file");
        return None;
    }
    if text == "~" || text.starts_with("~/") || text.starts_with("~\\") {
        cx.error(field.span(), "`~` is the shell's; it has no meaning here")
            .hint("write ${HOME}, or ${USERPROFILE} on Windows");
        return None;
    }
    let path: PathBuf = base.join(text).components().collect();
    if !path.is_absolute() {
        cx.error(field.span(), format!("`{text}` is neither absolute nor below the configuration file"))
            .hint("on Windows, write the drive and a backslash: 'C:\\apps'");
        return None;
    }
    Some(path)
}

/// A path as text, which it is unless the configuration's own directory has a name that is no Unicode.
pub(crate) fn text(path: &Path) -> Option<String> {
    path.to_str().map(str::to_owned)
}
