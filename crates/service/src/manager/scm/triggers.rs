//! Triggers as the SCM takes and tells them.
#![expect(unsafe_code, reason = "calls of Windows that windows-service does not have")]

use std::io;
use std::ptr;

use windows_service::service::Service;
use windows_sys::Win32::System::Services::{
    ChangeServiceConfig2W, DOMAIN_JOIN_GUID, DOMAIN_LEAVE_GUID, FIREWALL_PORT_CLOSE_GUID,
    FIREWALL_PORT_OPEN_GUID, MACHINE_POLICY_PRESENT_GUID, NAMED_PIPE_EVENT_GUID,
    NETWORK_MANAGER_FIRST_IP_ADDRESS_ARRIVAL_GUID, NETWORK_MANAGER_LAST_IP_ADDRESS_REMOVAL_GUID,
    RPC_INTERFACE_EVENT_GUID, SERVICE_CONFIG_TRIGGER_INFO, SERVICE_TRIGGER,
    SERVICE_TRIGGER_ACTION_SERVICE_START, SERVICE_TRIGGER_ACTION_SERVICE_STOP,
    SERVICE_TRIGGER_DATA_TYPE_BINARY, SERVICE_TRIGGER_DATA_TYPE_KEYWORD_ALL,
    SERVICE_TRIGGER_DATA_TYPE_KEYWORD_ANY, SERVICE_TRIGGER_DATA_TYPE_LEVEL, SERVICE_TRIGGER_DATA_TYPE_STRING,
    SERVICE_TRIGGER_INFO, SERVICE_TRIGGER_SPECIFIC_DATA_ITEM, SERVICE_TRIGGER_TYPE_CUSTOM,
    SERVICE_TRIGGER_TYPE_DEVICE_INTERFACE_ARRIVAL, SERVICE_TRIGGER_TYPE_DOMAIN_JOIN,
    SERVICE_TRIGGER_TYPE_FIREWALL_PORT_EVENT, SERVICE_TRIGGER_TYPE_GROUP_POLICY,
    SERVICE_TRIGGER_TYPE_IP_ADDRESS_AVAILABILITY, SERVICE_TRIGGER_TYPE_NETWORK_ENDPOINT,
    USER_POLICY_PRESENT_GUID,
};
use windows_sys::core::GUID;

use super::raw;
use crate::trigger::{Datum, Guid, Trigger, TriggerEvent};

/// A trigger in Windows' numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Raw {
    /// `SERVICE_TRIGGER_TYPE_…`
    kind: u32,
    /// `SERVICE_TRIGGER_ACTION_…`
    action: u32,
    subtype: Guid,
    /// Of which type each is (`SERVICE_TRIGGER_DATA_TYPE_…`), and its bytes.
    data: Vec<(u32, Vec<u8>)>,
}

/// What has no data of its own: its words, its type and its subtype.
const PLAIN: [(TriggerEvent, u32, GUID); 6] = [
    (
        TriggerEvent::NetworkUp,
        SERVICE_TRIGGER_TYPE_IP_ADDRESS_AVAILABILITY,
        NETWORK_MANAGER_FIRST_IP_ADDRESS_ARRIVAL_GUID,
    ),
    (
        TriggerEvent::NetworkDown,
        SERVICE_TRIGGER_TYPE_IP_ADDRESS_AVAILABILITY,
        NETWORK_MANAGER_LAST_IP_ADDRESS_REMOVAL_GUID,
    ),
    (TriggerEvent::DomainJoin, SERVICE_TRIGGER_TYPE_DOMAIN_JOIN, DOMAIN_JOIN_GUID),
    (TriggerEvent::DomainLeave, SERVICE_TRIGGER_TYPE_DOMAIN_JOIN, DOMAIN_LEAVE_GUID),
    (TriggerEvent::MachinePolicy, SERVICE_TRIGGER_TYPE_GROUP_POLICY, MACHINE_POLICY_PRESENT_GUID),
    (TriggerEvent::UserPolicy, SERVICE_TRIGGER_TYPE_GROUP_POLICY, USER_POLICY_PRESENT_GUID),
];

fn guid(guid: &GUID) -> Guid {
    let tail = u64::from_be_bytes(guid.data4);
    Guid::new(
        u128::from(guid.data1) << 96
            | u128::from(guid.data2) << 80
            | u128::from(guid.data3) << 64
            | u128::from(tail),
    )
}

/// One text, or several with one more NUL behind the last.
fn string(texts: &[String]) -> (u32, Vec<u8>) {
    let units = match texts {
        [one] => crate::registry::wide(one),
        several => raw::list(several),
    };
    (SERVICE_TRIGGER_DATA_TYPE_STRING, units.into_iter().flat_map(u16::to_le_bytes).collect())
}

/// What a text says, or several.
fn texts((kind, bytes): &(u32, Vec<u8>)) -> Option<Vec<String>> {
    if *kind != SERVICE_TRIGGER_DATA_TYPE_STRING {
        return None;
    }
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let texts = units.split(|unit| *unit == 0).filter(|text| !text.is_empty());
    Some(texts.map(String::from_utf16_lossy).collect())
}

/// What an event has to have.
fn datum(text: &String) -> (u32, Vec<u8>) {
    match text.parse() {
        Ok(Datum::Level(level)) => (SERVICE_TRIGGER_DATA_TYPE_LEVEL, vec![level]),
        Ok(Datum::Any(keywords)) => (SERVICE_TRIGGER_DATA_TYPE_KEYWORD_ANY, keywords.to_le_bytes().to_vec()),
        Ok(Datum::All(keywords)) => (SERVICE_TRIGGER_DATA_TYPE_KEYWORD_ALL, keywords.to_le_bytes().to_vec()),
        Ok(Datum::Bytes(bytes)) => (SERVICE_TRIGGER_DATA_TYPE_BINARY, bytes),
        Ok(Datum::Text(_)) | Err(_) => string(std::slice::from_ref(text)),
    }
}

/// The same in words, or the texts that it is.
fn data((kind, bytes): &(u32, Vec<u8>)) -> Option<Vec<String>> {
    let keywords = || bytes.as_slice().try_into().ok().map(u64::from_le_bytes);
    let datum = match *kind {
        SERVICE_TRIGGER_DATA_TYPE_LEVEL => Datum::Level(*bytes.first()?),
        SERVICE_TRIGGER_DATA_TYPE_KEYWORD_ANY => Datum::Any(keywords()?),
        SERVICE_TRIGGER_DATA_TYPE_KEYWORD_ALL => Datum::All(keywords()?),
        SERVICE_TRIGGER_DATA_TYPE_BINARY => Datum::Bytes(bytes.clone()),
        _ => return texts(&(*kind, bytes.clone())),
    };
    Some(vec![datum.to_string()])
}

impl Raw {
    fn new(trigger: &Trigger) -> Raw {
        let each = |texts: &[String]| texts.iter().map(|text| string(std::slice::from_ref(text))).collect();
        let plain = PLAIN.iter().find(|(on, ..)| *on == trigger.on);
        let endpoint = SERVICE_TRIGGER_TYPE_NETWORK_ENDPOINT;
        let port = SERVICE_TRIGGER_TYPE_FIREWALL_PORT_EVENT;
        let (kind, subtype, data) = match &trigger.on {
            TriggerEvent::FirewallPort(strings) => {
                (port, guid(&FIREWALL_PORT_OPEN_GUID), vec![string(strings)])
            }
            TriggerEvent::FirewallPortClosed(strings) => {
                (port, guid(&FIREWALL_PORT_CLOSE_GUID), vec![string(strings)])
            }
            TriggerEvent::Pipe(name) => {
                (endpoint, guid(&NAMED_PIPE_EVENT_GUID), each(std::slice::from_ref(name)))
            }
            TriggerEvent::Rpc(interface) => {
                let bare = interface.to_string().trim_matches(['{', '}']).to_owned();
                (endpoint, guid(&RPC_INTERFACE_EVENT_GUID), each(&[bare]))
            }
            TriggerEvent::Device(class, hardware) => {
                (SERVICE_TRIGGER_TYPE_DEVICE_INTERFACE_ARRIVAL, *class, each(hardware))
            }
            TriggerEvent::Event(provider, data) => {
                (SERVICE_TRIGGER_TYPE_CUSTOM, *provider, data.iter().map(datum).collect())
            }
            _ => plain.map_or((0, Guid::new(0), Vec::new()), |(_, kind, subtype)| {
                (*kind, guid(subtype), Vec::new())
            }),
        };
        let action = if trigger.stops {
            SERVICE_TRIGGER_ACTION_SERVICE_STOP
        } else {
            SERVICE_TRIGGER_ACTION_SERVICE_START
        };
        Raw { kind, action, subtype, data }
    }

    /// What it waits for; none if it is of a kind that has no words here.
    fn event(&self) -> Option<TriggerEvent> {
        let read = if self.kind == SERVICE_TRIGGER_TYPE_CUSTOM { data } else { texts };
        let all: Vec<String> = self.data.iter().map(read).collect::<Option<Vec<_>>>()?.concat();
        let is = |subtype: &GUID| guid(subtype) == self.subtype;
        Some(match self.kind {
            SERVICE_TRIGGER_TYPE_DEVICE_INTERFACE_ARRIVAL => TriggerEvent::Device(self.subtype, all),
            SERVICE_TRIGGER_TYPE_CUSTOM => TriggerEvent::Event(self.subtype, all),
            SERVICE_TRIGGER_TYPE_FIREWALL_PORT_EVENT if is(&FIREWALL_PORT_OPEN_GUID) => {
                TriggerEvent::FirewallPort(all)
            }
            SERVICE_TRIGGER_TYPE_FIREWALL_PORT_EVENT if is(&FIREWALL_PORT_CLOSE_GUID) => {
                TriggerEvent::FirewallPortClosed(all)
            }
            SERVICE_TRIGGER_TYPE_NETWORK_ENDPOINT if is(&NAMED_PIPE_EVENT_GUID) => {
                TriggerEvent::Pipe(all.concat())
            }
            SERVICE_TRIGGER_TYPE_NETWORK_ENDPOINT if is(&RPC_INTERFACE_EVENT_GUID) => {
                TriggerEvent::Rpc(all.concat().parse().ok()?)
            }
            kind => PLAIN.into_iter().find(|(_, own, subtype)| *own == kind && is(subtype))?.0,
        })
    }

    fn words(&self) -> String {
        let stops = self.action == SERVICE_TRIGGER_ACTION_SERVICE_STOP;
        match self.event() {
            Some(on) => Trigger { on, stops }.to_string(),
            None => {
                let action = if stops { "stop" } else { "start" };
                format!("{action}:type {} {} with {} data items", self.kind, self.subtype, self.data.len())
            }
        }
    }
}

/// The structures that the SCM takes, and what they point at.
struct Structures {
    triggers: Vec<SERVICE_TRIGGER>,
    _items: Vec<Vec<SERVICE_TRIGGER_SPECIFIC_DATA_ITEM>>,
    _guids: Vec<GUID>,
    _raws: Vec<Raw>,
}

impl Structures {
    fn new(mut raws: Vec<Raw>) -> Structures {
        let size = |count: usize| u32::try_from(count).unwrap_or(0);
        let mut guids: Vec<GUID> = raws.iter().map(|raw| GUID::from_u128(raw.subtype.number())).collect();
        let item = |(kind, bytes): &mut (u32, Vec<u8>)| SERVICE_TRIGGER_SPECIFIC_DATA_ITEM {
            dwDataType: *kind,
            cbData: size(bytes.len()),
            pData: bytes.as_mut_ptr(),
        };
        let mut items: Vec<Vec<SERVICE_TRIGGER_SPECIFIC_DATA_ITEM>> =
            raws.iter_mut().map(|raw| raw.data.iter_mut().map(item).collect()).collect();
        let triggers =
            raws.iter().zip(&mut guids).zip(&mut items).map(|((raw, guid), items)| SERVICE_TRIGGER {
                dwTriggerType: raw.kind,
                dwAction: raw.action,
                pTriggerSubtype: ptr::from_mut(guid),
                cDataItems: size(items.len()),
                pDataItems: if items.is_empty() { ptr::null_mut() } else { items.as_mut_ptr() },
            });
        Structures { triggers: triggers.collect(), _items: items, _guids: guids, _raws: raws }
    }

    /// Valid as long as this is.
    fn info(&mut self) -> SERVICE_TRIGGER_INFO {
        let count = u32::try_from(self.triggers.len()).unwrap_or(0);
        SERVICE_TRIGGER_INFO {
            cTriggers: count,
            pTriggers: if count == 0 { ptr::null_mut() } else { self.triggers.as_mut_ptr() },
            pReserved: ptr::null_mut(),
        }
    }
}

/// # Safety
/// All that it points at is valid.
unsafe fn read(info: &SERVICE_TRIGGER_INFO) -> Vec<Raw> {
    // SAFETY: what the caller promises; a null pointer goes with the count 0, and is looked at nowhere.
    unsafe {
        let many = |count: u32| count as usize;
        (0..many(info.cTriggers))
            .map(|n| {
                let trigger = &*info.pTriggers.add(n);
                let item = |n: usize| {
                    let item = &*trigger.pDataItems.add(n);
                    let bytes = (0..many(item.cbData)).map(|n| *item.pData.add(n)).collect();
                    (item.dwDataType, bytes)
                };
                Raw {
                    kind: trigger.dwTriggerType,
                    action: trigger.dwAction,
                    subtype: guid(&*trigger.pTriggerSubtype),
                    data: (0..many(trigger.cDataItems)).map(item).collect(),
                }
            })
            .collect()
    }
}

/// In words, sorted.
pub(super) fn wanted(triggers: &[Trigger]) -> Vec<String> {
    sorted(triggers.iter().map(Raw::new).collect())
}

fn sorted(raws: Vec<Raw>) -> Vec<String> {
    let mut words: Vec<String> = raws.iter().map(Raw::words).collect();
    words.sort();
    words
}

/// The triggers that a service has, in words.
pub(super) fn present(service: &Service) -> io::Result<Vec<String>> {
    let buffer = raw::query_config(service, SERVICE_CONFIG_TRIGGER_INFO)?;
    // SAFETY: the call wrote the structure there, and what it points at lies behind it in the buffer.
    Ok(sorted(unsafe { read(&*buffer.as_ptr().cast::<SERVICE_TRIGGER_INFO>()) }))
}

/// Sets them in the place of those that are there. To take away what is not there is an error of Windows.
pub(super) fn set(service: &Service, triggers: &[Trigger]) -> io::Result<()> {
    let mut structures = Structures::new(triggers.iter().map(Raw::new).collect());
    let info = structures.info();
    // SAFETY: the handle is open while `service` is; the structures outlive the call.
    let done = unsafe {
        ChangeServiceConfig2W(service.raw_handle(), SERVICE_CONFIG_TRIGGER_INFO, ptr::from_ref(&info).cast())
    };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw_of(text: &str) -> Raw {
        Raw::new(&text.parse().expect(text))
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// Numbers and GUIDs from Microsoft's page of `SERVICE_TRIGGER`.
    #[test]
    fn triggers_have_microsofts_numbers() {
        let first_address = "{4f27f2de-14e2-430b-a549-7cd48cbc8245}";
        for (text, kind, action, subtype) in [
            ("network-up", 2, 1, first_address),
            ("stop:network-up", 2, 2, first_address),
            ("network-down", 2, 2, "{cc4ba62a-162e-4648-847a-b6bdf993e335}"),
            ("domain-join", 3, 1, "{1ce20aba-9851-4421-9430-1ddeb766e809}"),
            ("domain-leave", 3, 2, "{ddaf516e-58c2-4866-9574-c3b615d42ea1}"),
            ("firewall-port:5001/udp", 4, 1, "{b7569e07-8421-4ee0-ad10-86915afdad09}"),
            ("firewall-port-closed:5001/udp", 4, 2, "{a144ed38-8e12-4de4-9d96-e64740b1a524}"),
            ("machine-policy", 5, 1, "{659fcae6-5bdb-4da9-b1ff-ca2a178d46e0}"),
            ("user-policy", 5, 1, "{54fb46c8-f089-464c-b1fd-59d1b62c3b50}"),
            ("pipe:shop", 6, 1, "{1f81d131-3fac-4537-9e0c-7e7b0c2f4b55}"),
            ("rpc:53f56307-b6bf-11d0-94f2-00a0c91efb8b", 6, 1, "{bc90d167-9470-4139-a9ba-be0bbbf5b74d}"),
            ("device:53f56307-b6bf-11d0-94f2-00a0c91efb8b", 1, 1, "{53f56307-b6bf-11d0-94f2-00a0c91efb8b}"),
            ("event:53f56307-b6bf-11d0-94f2-00a0c91efb8b", 20, 1, "{53f56307-b6bf-11d0-94f2-00a0c91efb8b}"),
        ] {
            let raw = raw_of(text);
            assert_eq!(
                (raw.kind, raw.action, raw.subtype.to_string().as_str()),
                (kind, action, subtype),
                "{text}"
            );
        }
    }

    #[test]
    fn their_data_are_texts_of_windows() {
        // The example of that page.
        let port =
            raw_of(r"firewall-port:5001/udp,%programfiles%\MyApplication\MyServiceProcess.exe,MyService");
        let strings = "5001\0UDP\0%programfiles%\\MyApplication\\MyServiceProcess.exe\0MyService\0\0";
        assert_eq!(port.data, [(2, utf16(strings))]);
        assert_eq!(raw_of("firewall-port:8080/tcp").data, [(2, utf16("8080\0TCP\0\0"))]);
        assert_eq!(raw_of("pipe:shop").data, [(2, utf16("shop\0"))]);
        let device = raw_of(r"device:53f56307-b6bf-11d0-94f2-00a0c91efb8b,USBSTOR\GenDisk,USB\X");
        assert_eq!(device.data, [(2, utf16("USBSTOR\\GenDisk\0")), (2, utf16("USB\\X\0"))]);
        assert_eq!(raw_of("network-up").data, []);
        // SERVICE_TRIGGER_SPECIFIC_DATA_ITEM: a byte for a level, eight for keywords.
        let event = "event:{53f56307-b6bf-11d0-94f2-00a0c91efb8b},level:4,any:0x10,all:0x201,hex:00ff,on";
        let raw = raw_of(event);
        assert_eq!(
            raw.data,
            [
                (3, vec![4]),
                (4, vec![0x10, 0, 0, 0, 0, 0, 0, 0]),
                (5, vec![1, 2, 0, 0, 0, 0, 0, 0]),
                (1, vec![0, 0xff]),
                (2, utf16("on\0")),
            ]
        );
        assert_eq!(raw.words(), event);
    }

    #[test]
    fn structures_say_the_same() {
        let texts = [
            "network-up",
            r"device:{53f56307-b6bf-11d0-94f2-00a0c91efb8b},USBSTOR\GenDisk,USB\X",
            "firewall-port:8080/tcp",
            "domain-leave",
            "rpc:{53f56307-b6bf-11d0-94f2-00a0c91efb8b}",
            "pipe:shop",
        ];
        let raws: Vec<Raw> = texts.iter().map(|text| raw_of(text)).collect();
        let mut structures = Structures::new(raws.clone());
        let info = structures.info();
        assert_eq!((info.cTriggers, info.pReserved.is_null()), (6, true));
        // SAFETY: the structures are there.
        let back = unsafe { read(&info) };
        assert_eq!(back, raws);
        assert_eq!(back.iter().map(Raw::words).collect::<Vec<_>>(), texts);
        let none = Structures::new(Vec::new()).info();
        assert_eq!((none.cTriggers, none.pTriggers.is_null()), (0, true));
        // One that this library does not make is told, too.
        let state = Raw { kind: 7, action: 1, subtype: Guid::new(1), data: vec![(1, vec![1, 2])] };
        assert!(state.words().starts_with("start:type 7 {00000000-"), "{}", state.words());
    }
}
