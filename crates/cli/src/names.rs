//! What a name on a command line means: one rule for all commands.
//!
//! With `--stack` or `--file`, names are services of that stack. Without, `STACK/SERVICE` is just that; any other name
//! is the first of these that there is: a service of the stack whose configuration is in the working directory; a
//! stack that is installed or up; a service of the one stack that is up and has it; any other stack of this machine; a
//! service of the one such stack.

use mainstay_core::{Plan, ServiceName};

use crate::args::Select;
use crate::failure::{Failure, nearest};
use crate::installed::Installed;
use crate::output::words;
use crate::stack::{self, Place};

/// What names mean in one stack.
#[derive(Clone, Debug)]
pub struct Meant {
    /// The stack.
    pub place: Place,
    /// These services of it; none: all of them. A stack of one service that was named is that service.
    pub services: Vec<String>,
    /// Whether the stack itself was named.
    pub whole: bool,
}

impl Meant {
    fn service(place: Place, name: &str) -> Meant {
        Meant { place, services: vec![name.to_owned()], whole: false }
    }
}

/// What `names` mean, stack by stack; the stack that `select` means if there are none.
///
/// # Errors
/// A name means nothing, or several things.
pub fn meant(select: &Select, names: &[String]) -> Result<Vec<Meant>, Failure> {
    if names.is_empty() || select.stack.is_some() || !select.files.is_empty() {
        return Ok(vec![Meant { place: stack::select(select)?, services: names.to_vec(), whole: false }]);
    }
    let world = World::look(select)?;
    let mut all: Vec<Meant> = Vec::new();
    for name in names {
        let one = world.meaning(name)?;
        match all.iter_mut().find(|meant| meant.place.name == one.place.name) {
            None => all.push(one),
            // A stack and a service of it: the stack.
            Some(meant) if one.whole => *meant = one,
            Some(meant) if meant.whole => {}
            Some(meant) => meant.services.extend(one.services),
        }
    }
    Ok(all)
}

/// The same for what can be asked of one stack only.
///
/// # Errors
/// A name means nothing, or the names are of several stacks.
pub fn meant_in_one(select: &Select, names: &[String]) -> Result<Meant, Failure> {
    let mut all = meant(select, names)?;
    if all.len() > 1 {
        let stacks: Vec<&str> = all.iter().map(|meant| meant.place.name.as_str()).collect();
        return Err(Failure::usage(format!("these names are of several stacks: {}", words::list(&stacks)))
            .hint("ask for one stack at a time"));
    }
    all.pop().ok_or_else(|| Failure::usage("a name is missing"))
}

/// All stacks of this user, looked at once.
struct World {
    stacks: Vec<Known>,
    /// The stack of the working directory's configuration, or why that has none.
    here: Option<Result<Place, Failure>>,
}

struct Known {
    place: Place,
    plan: Option<Plan>,
    /// Installed, or up.
    serves: bool,
    up: bool,
}

impl Known {
    fn look(name: &str) -> Option<Known> {
        let place = Place::of(name).ok()?;
        let (plan, up) = (place.plan().ok().map(|stored| stored.plan), place.is_up());
        let installed = Installed::read(&place).is_some();
        (plan.is_some() || up || installed).then_some(Known { place, plan, serves: up || installed, up })
    }

    fn whole(&self) -> Meant {
        let mut services: Vec<String> = self.services().take(2).map(ToString::to_string).collect();
        if services.len() > 1 {
            services.clear();
        }
        Meant { place: self.place.clone(), services, whole: true }
    }

    fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.plan.iter().flat_map(|plan| plan.services.keys())
    }

    /// Whether it has a service of that name, or services that share it.
    fn has(&self, name: &str) -> bool {
        self.plan.iter().flat_map(|plan| &plan.services).any(|(own, plan)| {
            own.as_str() == name || plan.instance_of.as_ref().is_some_and(|of| of.as_str() == name)
        })
    }
}

impl World {
    fn look(select: &Select) -> Result<World, Failure> {
        let here = stack::config_path(select)?.map(|_| stack::select(select));
        let stacks = mainstay_sys::dirs::stacks().iter().filter_map(|name| Known::look(name)).collect();
        Ok(World { stacks, here })
    }

    fn meaning(&self, name: &str) -> Result<Meant, Failure> {
        if let Some((stack, service)) = name.split_once('/') {
            let known = self.stacks.iter().find(|known| known.place.name == stack);
            return known
                .map(|known| Meant::service(known.place.clone(), service))
                .ok_or_else(|| self.unknown(name));
        }
        let of_name = |known: &&Known| known.place.name == name;
        if let Some(Ok(here)) = &self.here
            && self.stacks.iter().any(|known| known.place.name == here.name && known.has(name))
        {
            return Ok(Meant::service(here.clone(), name));
        }
        if let Some(known) = self.stacks.iter().filter(|known| known.serves).find(of_name) {
            return Ok(known.whole());
        }
        if let Some(place) = self.only(name, |known| known.up)? {
            return Ok(Meant::service(place, name));
        }
        if let Some(known) = self.stacks.iter().find(of_name) {
            return Ok(known.whole());
        }
        if let Some(place) = self.only(name, |known| !known.up)? {
            return Ok(Meant::service(place, name));
        }
        // The stack that is most likely meant says what it has.
        let up: Vec<&Known> = self.stacks.iter().filter(|known| known.up).collect();
        match (&self.here, up.as_slice()) {
            (Some(Ok(here)), _) => Ok(Meant::service(here.clone(), name)),
            (Some(Err(failure)), _) => Err(failure.clone()),
            (None, [only]) => Ok(Meant::service(only.place.clone(), name)),
            (None, _) => Err(self.unknown(name)),
        }
    }

    /// The one stack among those that are `wanted` that has a service of that name.
    fn only(&self, name: &str, wanted: impl Fn(&Known) -> bool) -> Result<Option<Place>, Failure> {
        let with: Vec<&Known> = self.stacks.iter().filter(|k| wanted(k) && k.has(name)).collect();
        match with.as_slice() {
            [] => Ok(None),
            [only] => Ok(Some(only.place.clone())),
            several => {
                let names: Vec<String> =
                    several.iter().map(|k| format!("`{}/{name}`", k.place.name)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Err(Failure::usage(format!("{} stacks have a service {name}", several.len()))
                    .hint(format!("choose one: {}", words::list(&names))))
            }
        }
    }

    fn unknown(&self, name: &str) -> Failure {
        let failure = Failure::not_there(format!("there is no service or stack called `{name}`"));
        match meant_instead(name, &self.stacks) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`mainstay list` shows the stacks of this machine"),
        }
    }
}

/// The stack, service or `STACK/SERVICE` that was probably meant.
fn meant_instead(name: &str, stacks: &[Known]) -> Option<String> {
    let mut known: Vec<String> = stacks.iter().map(|known| known.place.name.clone()).collect();
    for stack in stacks {
        let of = &stack.place.name;
        known.extend(stack.services().map(|service| match name.contains('/') {
            true => format!("{of}/{service}"),
            false => service.to_string(),
        }));
    }
    nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}

/// Something like `name` in stacks other than `stack`.
pub fn elsewhere(name: &str, stack: &str) -> Option<String> {
    let others = mainstay_sys::dirs::stacks();
    let others: Vec<Known> =
        others.iter().filter(|other| *other != stack).filter_map(|other| Known::look(other)).collect();
    let full = others.iter().find(|known| known.up && known.has(name));
    full.map(|known| format!("{}/{name}", known.place.name)).or_else(|| meant_instead(name, &others))
}
