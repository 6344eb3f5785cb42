//! Paths of directories and files: relative ones start at the directory of the configuration file
//! that names them.

use std::path::{Path, PathBuf};

use crate::context::{Context, Field};
use crate::effective::Became;

/// Reads a path, and makes it absolute.
pub(crate) fn read(cx: &mut Context<'_>, field: Field<'_>) -> Option<PathBuf> {
    let text = cx.string(field, "a path")?;
    if text.value.trim().is_empty() {
        cx.error(field.span(), format!("`{}` is empty", field.key))
            .hint("\".\" is the directory of the configuration file");
        return None;
    }
    if text.value == "~" || text.value.starts_with("~/") || text.value.starts_with("~\\") {
        cx.error(field.span(), "`~` is the shell's; it has no meaning here")
            .hint("write ${HOME}, or ${USERPROFILE} on Windows");
        return None;
    }
    let path: PathBuf = cx.base_dir(field.span()).join(&text.value).components().collect();
    if !path.is_absolute() {
        cx.error(
            field.span(),
            format!("`{}` is neither absolute nor below the configuration file", text.value),
        )
        .hint("on Windows, write the drive and a backslash: 'C:\\apps'");
        return None;
    }
    if let (crate::value::Value::Text(written), Some(text)) = (&field.node.value, path.to_str()) {
        cx.record(written, || Became::Text(text.to_owned()));
    }
    Some(path)
}

/// A path as text, which it is unless the configuration's own directory has a name that is no Unicode.
pub(crate) fn text(path: &Path) -> Option<String> {
    path.to_str().map(str::to_owned)
}
