//! The reason codes of MQTT 5 §2.4.

/// A reason code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the standard's")]
pub enum Reason {
    /// Also: normal disconnection, granted QoS 0.
    Success = 0x00,
    GrantedQoS1 = 0x01,
    GrantedQoS2 = 0x02,
    DisconnectWithWill = 0x04,
    NoMatchingSubscribers = 0x10,
    NoSubscriptionExisted = 0x11,
    ContinueAuthentication = 0x18,
    ReAuthenticate = 0x19,
    UnspecifiedError = 0x80,
    MalformedPacket = 0x81,
    ProtocolError = 0x82,
    ImplementationSpecificError = 0x83,
    UnsupportedProtocolVersion = 0x84,
    ClientIdNotValid = 0x85,
    BadUserNameOrPassword = 0x86,
    NotAuthorized = 0x87,
    ServerUnavailable = 0x88,
    ServerBusy = 0x89,
    Banned = 0x8A,
    ServerShuttingDown = 0x8B,
    BadAuthenticationMethod = 0x8C,
    KeepAliveTimeout = 0x8D,
    SessionTakenOver = 0x8E,
    TopicFilterInvalid = 0x8F,
    TopicNameInvalid = 0x90,
    PacketIdInUse = 0x91,
    PacketIdNotFound = 0x92,
    ReceiveMaximumExceeded = 0x93,
    TopicAliasInvalid = 0x94,
    PacketTooLarge = 0x95,
    MessageRateTooHigh = 0x96,
    QuotaExceeded = 0x97,
    AdministrativeAction = 0x98,
    PayloadFormatInvalid = 0x99,
    RetainNotSupported = 0x9A,
    QoSNotSupported = 0x9B,
    UseAnotherServer = 0x9C,
    ServerMoved = 0x9D,
    SharedSubscriptionsNotSupported = 0x9E,
    ConnectionRateExceeded = 0x9F,
    MaximumConnectTime = 0xA0,
    SubscriptionIdsNotSupported = 0xA1,
    WildcardSubscriptionsNotSupported = 0xA2,
}

impl Reason {
    /// The return code of a 3.1.1 CONNACK that says the same; none where no CONNACK may be sent. [MQTT-3.2.2-6]
    pub fn connack_v3(self) -> Option<u8> {
        match self {
            Reason::Success => Some(0),
            Reason::UnsupportedProtocolVersion => Some(1),
            Reason::ClientIdNotValid => Some(2),
            Reason::BadUserNameOrPassword => Some(4),
            Reason::NotAuthorized => Some(5),
            Reason::MalformedPacket | Reason::ProtocolError | Reason::TopicNameInvalid => None,
            _ => Some(3),
        }
    }
    /// Whether a server's DISCONNECT may say it (MQTT 5 §3.14.2.1; 0x8C by §2.4).
    pub(super) fn is_for_disconnect(self) -> bool {
        match self {
            Reason::Success
            | Reason::UnspecifiedError
            | Reason::MalformedPacket
            | Reason::ProtocolError
            | Reason::ImplementationSpecificError
            | Reason::NotAuthorized
            | Reason::ServerBusy
            | Reason::ServerShuttingDown
            | Reason::BadAuthenticationMethod
            | Reason::KeepAliveTimeout
            | Reason::SessionTakenOver
            | Reason::TopicFilterInvalid
            | Reason::TopicNameInvalid
            | Reason::ReceiveMaximumExceeded
            | Reason::TopicAliasInvalid
            | Reason::PacketTooLarge
            | Reason::MessageRateTooHigh
            | Reason::QuotaExceeded
            | Reason::AdministrativeAction
            | Reason::PayloadFormatInvalid
            | Reason::RetainNotSupported
            | Reason::QoSNotSupported
            | Reason::UseAnotherServer
            | Reason::ServerMoved
            | Reason::SharedSubscriptionsNotSupported
            | Reason::ConnectionRateExceeded
            | Reason::MaximumConnectTime
            | Reason::SubscriptionIdsNotSupported
            | Reason::WildcardSubscriptionsNotSupported => true,
            Reason::GrantedQoS1
            | Reason::GrantedQoS2
            | Reason::DisconnectWithWill
            | Reason::NoMatchingSubscribers
            | Reason::NoSubscriptionExisted
            | Reason::ContinueAuthentication
            | Reason::ReAuthenticate
            | Reason::UnsupportedProtocolVersion
            | Reason::ClientIdNotValid
            | Reason::BadUserNameOrPassword
            | Reason::ServerUnavailable
            | Reason::Banned
            | Reason::PacketIdInUse
            | Reason::PacketIdNotFound => false,
        }
    }
}
